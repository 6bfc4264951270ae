// An Express application with a notebook on its page: INSET_KEY='…' PORT=8080 npm start
import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import cookieSession from 'cookie-session';
import express from 'express';
import { SignJWT } from 'jose';
import { loginPage, notebookPage } from './pages.js';

const SERVICE = process.env.INSET_SERVICE ?? 'http://localhost:8091';
const KEY = new TextEncoder().encode(process.env.INSET_KEY);
const SDK = dirname(fileURLToPath(import.meta.resolve('inset-notebook')));

/** Each user's notebook; a column of a table of yours. */
const notebooks = new Map();

/** Tells Inset who this is, for five minutes. */
function token(user) {
  return new SignJWT({ sub: user })
    .setProtectedHeader({ alg: 'HS256', kid: 'my-app-1' })
    .setIssuer('my-app').setAudience(SERVICE).setIssuedAt().setExpirationTime('5m')
    .sign(KEY);
}

/** Gives the id of the user's notebook, which is made when it is first asked for. */
async function notebookOf(user) {
  if (!notebooks.has(user)) {
    const made = await fetch(`${SERVICE}/v1/notebooks`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${await token(user)}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: 'My analysis' }),
    });
    if (!made.ok) throw new Error(`Inset answered ${made.status}: ${await made.text()}`);
    notebooks.set(user, (await made.json()).id);
  }
  return notebooks.get(user);
}

const app = express();
app.use(cookieSession({ secret: process.env.APP_SECRET ?? randomBytes(32).toString('hex'), sameSite: 'lax' }));
app.use(express.urlencoded({ extended: false }));
app.use('/sdk', express.static(SDK));

app.get('/', async (request, response) => {
  const { user } = request.session;
  response.send(user ? notebookPage({ user, service: SERVICE, notebook: await notebookOf(user) }) : loginPage());
});

app.post('/login', (request, response) => {
  // Your own login stands here, with its passwords.
  request.session.user = String(request.body.user);
  response.redirect(303, '/');
});

app.post('/inset-token', async (request, response) => {
  if (!request.session.user) return response.status(401).send('Log in first');
  response.type('text').set('Cache-Control', 'no-store').send(await token(request.session.user));
});

app.listen(process.env.PORT ?? 8080, 'localhost');
