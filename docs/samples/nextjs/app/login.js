import 'server-only';
import { jwtVerify, SignJWT } from 'jose';
import { cookies } from 'next/headers';

// Your own login stands here, with its passwords; this one believes every name.
const secret = () => new TextEncoder().encode(process.env.APP_SECRET);

export async function logIn(form) {
  'use server';
  const cookie = await new SignJWT({ sub: String(form.get('user')) })
    .setProtectedHeader({ alg: 'HS256' }).setExpirationTime('12h').sign(secret());
  (await cookies()).set('login', cookie, { httpOnly: true, sameSite: 'lax' });
}

/** Gives who is logged in, or undefined. */
export async function loggedIn() {
  const cookie = (await cookies()).get('login');
  if (!cookie) return undefined;
  try {
    return (await jwtVerify(cookie.value, secret(), { algorithms: ['HS256'] })).payload.sub;
  } catch {
    return undefined;
  }
}
