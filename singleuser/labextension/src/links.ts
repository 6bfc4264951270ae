/**
 * Links stay in the frame if they lead to this server: a new tab is another site to the browser,
 * where the frame's cookie does not count. All others open a tab that can't reach back.
 */

/** Apply to the page; `leaving` is waited for before the frame goes elsewhere. */
export function keepLinksInFrame(leaving: () => Promise<void>): void {
  const openTab = window.open.bind(window);

  const go = (url: URL): Window | null => {
    if (url.origin !== location.origin) return openTab(url, '_blank', 'noopener,noreferrer');
    void leaving().finally(() => { location.assign(url); });
    return window;
  };

  window.open = (url, target, features) => {
    if (!url || url === 'about:blank') return blankWindow(go);
    const parsed = new URL(url, document.baseURI);
    return isWeb(parsed) ? go(parsed) : openTab(url, target, features);
  };

  // In the capture phase, before Jupyter's own handlers see the click.
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>('a[href]') : null;
    if (!link || link.hasAttribute('download') || link.hasAttribute('data-commandlinker-command')) return;
    const url = new URL(link.href, document.baseURI);
    if (!isWeb(url)) return;
    if (url.origin !== location.origin) {
      link.target = '_blank';
      link.relList.add('noopener', 'noreferrer');
    } else if (link.target && link.target !== '_self') {
      event.preventDefault();
      go(url);
    }
  }, { capture: true });
}

/** What `window.open()` returns to code that sets the new window's address afterwards, as JupyterLab does. */
function blankWindow(go: (url: URL) => void): Window {
  const location = {
    set href(url: string) {
      go(new URL(url, document.baseURI));
    },
  };
  return { opener: null, location } as unknown as Window;
}

function isWeb({ protocol }: URL): boolean {
  return protocol === 'http:' || protocol === 'https:';
}
