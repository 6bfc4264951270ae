import 'server-only';
import { SignJWT } from 'jose';

export const SERVICE = process.env.INSET_SERVICE ?? 'http://localhost:8091';

/** Each user's notebook; a column of a table of yours. */
const notebooks = new Map();

/** Tells Inset who this is, for five minutes. */
export function token(user) {
  return new SignJWT({ sub: user })
    .setProtectedHeader({ alg: 'HS256', kid: 'my-app-1' })
    .setIssuer('my-app').setAudience(SERVICE).setIssuedAt().setExpirationTime('5m')
    .sign(new TextEncoder().encode(process.env.INSET_KEY));
}

/** Gives the id of the user's notebook, which is made when it is first asked for. */
export async function notebookOf(user) {
  if (!notebooks.has(user)) {
    const made = await fetch(`${SERVICE}/v1/notebooks`, {
      method: 'POST',
      cache: 'no-store',
      headers: { Authorization: `Bearer ${await token(user)}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: 'My analysis' }),
    });
    if (!made.ok) throw new Error(`Inset answered ${made.status}: ${await made.text()}`);
    notebooks.set(user, (await made.json()).id);
  }
  return notebooks.get(user);
}
