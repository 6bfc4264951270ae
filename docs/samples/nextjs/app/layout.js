import 'inset-notebook/style.css';

export const metadata = { title: 'My app' };

export default function Layout({ children }) {
  return <html lang="en"><body>{children}</body></html>;
}
