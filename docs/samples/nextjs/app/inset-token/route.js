import { token } from '../inset.js';
import { loggedIn } from '../login.js';

export async function POST() {
  const user = await loggedIn();
  if (!user) return new Response('Log in first', { status: 401 });
  return new Response(await token(user), { headers: { 'Content-Type': 'text/plain', 'Cache-Control': 'no-store' } });
}
