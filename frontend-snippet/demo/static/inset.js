/** Inset's API from the page, as the user whom this site's backend names in a short-lived token. */

export const serviceUrl = document.querySelector('meta[name="inset-service"]').content;

/** A refusal, by Inset or by this site, in words for the user. */
export class Problem extends Error {
  constructor({ title, detail, ...members }) {
    super(detail ? `${title.replace(/\.$/, '')}. ${detail}` : title);
    this.members = members;
  }
}

/** Ask this site's backend for the user's token. The SDK calls it too. */
export async function fetchToken() {
  const response = await fetch('/token');
  if (response.status === 401) location.assign('/login');
  await refuse(response);
  return (await response.json()).token;
}

/** Call Inset and give its answer, parsed; a path with a file behind it can ask for the Response. */
export async function inset(path, { method = 'GET', body, raw = false } = {}) {
  const headers = { Authorization: `Bearer ${await fetchToken()}` };
  if (body) headers['Content-Type'] = 'application/json';
  const request = { method, headers, body: body && JSON.stringify(body) };
  const response = await fetch(serviceUrl + path, request).catch(() => {
    throw new Problem({ title: 'The notebook service can’t be reached', detail: 'Please try again in a moment.' });
  });
  await refuse(response);
  return raw ? response : response.json();
}

/** Throw the problem that a response tells of, if it does. */
export async function refuse(response) {
  if (response.ok) return;
  const problem = await response.json().catch(() => ({}));
  throw new Problem({ ...problem, title: problem.title ?? `That didn’t work (status ${response.status})` });
}

/** Show an error in the page's notice; without one, take the notice away. */
export function showProblem(error) {
  const notice = document.getElementById('problem');
  notice.hidden = !error;
  notice.textContent = error?.message ?? '';
}

/** Make an event listener of what a control does: it shows what goes wrong, and at first forgets what went wrong before. */
export function act(action) {
  return (event) => {
    event.preventDefault();
    showProblem();
    (async () => action(event))().catch(showProblem);
  };
}
