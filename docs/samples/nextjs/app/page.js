import { notebookOf, SERVICE } from './inset.js';
import { loggedIn, logIn } from './login.js';
import { Notebook } from './notebook.js';

export default async function Page() {
  const user = await loggedIn();
  if (!user) {
    return (
      <form action={logIn}>
        <label>User <input name="user" required /></label> <button>Log in</button>
      </form>
    );
  }
  return <Notebook user={user} serviceUrl={SERVICE} notebookId={await notebookOf(user)} />;
}
