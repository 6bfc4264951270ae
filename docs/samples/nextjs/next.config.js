import { fileURLToPath } from 'node:url';

// Else Next.js takes a folder above that has a lock file for its root.
export default { turbopack: { root: fileURLToPath(new URL('.', import.meta.url)) } };
