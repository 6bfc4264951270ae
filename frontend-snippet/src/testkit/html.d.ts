/** esbuild puts such a file in as its text. */
declare module '*.html' {
  const text: string;
  export default text;
}
