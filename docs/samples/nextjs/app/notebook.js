'use client';

import { InsetNotebook } from 'inset-notebook/react';
import { useRef, useState } from 'react';

const fetchToken = async () => (await fetch('/inset-token', { method: 'POST' })).text();

export function Notebook({ user, serviceUrl, notebookId }) {
  const notebook = useRef(null);
  const [state, setState] = useState('');
  return (
    <>
      <p>
        Logged in as {user} <button onClick={() => notebook.current.save()}>Save</button>{' '}
        <span id="state" role="status">{state}</span>
      </p>
      <InsetNotebook
        ref={notebook}
        style={{ height: '80vh' }}
        serviceUrl={serviceUrl}
        notebookId={notebookId}
        fetchToken={fetchToken}
        onSaved={({ version }) => setState(`Version ${version} is stored`)}
      />
    </>
  );
}
