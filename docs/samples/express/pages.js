const escaped = (text) => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);

const page = (body) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>My app</title>
<link rel="stylesheet" href="/sdk/inset-notebook.css">
${body}
</html>`;

export const loginPage = () => page(`
<form method="post" action="/login"><label>User <input name="user" required></label> <button>Log in</button></form>`);

export const notebookPage = ({ user, service, notebook }) => page(`
<p>Logged in as ${escaped(user)} <button id="save">Save</button> <span id="state" role="status"></span></p>
<inset-notebook style="display: block; height: 80vh"
  service-url="${escaped(service)}" notebook-id="${escaped(notebook)}" token-url="/inset-token"></inset-notebook>
<script type="module">
  import '/sdk/element.js';

  const element = document.querySelector('inset-notebook');
  element.addEventListener('inset-saved', ({ detail }) => {
    document.querySelector('#state').textContent = 'Version ' + detail.version + ' is stored';
  });
  document.querySelector('#save').onclick = () => element.notebook.save();
</script>`);
