"""axe-core in a page: what keeps people from using it."""

from playwright.async_api import Page

from tests.support.real_hub import ROOT

_AXE = ROOT / "frontend-snippet" / "node_modules" / "axe-core" / "axe.min.js"


async def serious(page: Page) -> list[str]:
    """Look at the page itself, without its frames; gives what axe calls serious or critical, with the places."""
    if not await page.evaluate("'axe' in window"):
        # By the driver, not by an element: a page's own policy lets no foreign script in.
        await page.evaluate(_AXE.read_text(encoding="utf-8"))
    found: list[str] = await page.evaluate(
        """async () => {
          const { violations } = await axe.run(document, { iframes: false, resultTypes: ['violations'] });
          return violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
            .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
        }"""
    )
    return found
