"""axe-core in a page: what keeps people from using it."""

from typing import Literal

from playwright.async_api import Page, ViewportSize

from tests.support.real_hub import ROOT

_AXE = ROOT / "frontend-snippet" / "node_modules" / "axe-core" / "axe.min.js"


PICTURES = ROOT / ".artifacts" / "screenshots"
SIZES: dict[str, ViewportSize] = {"desk": {"width": 1100, "height": 800}, "phone": {"width": 360, "height": 740}}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


async def look(page: Page, name: str) -> None:
    """Have axe look at what is shown in every dress, keep a picture of each, and see that nothing sticks out."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for size, viewport in SIZES.items():
        await page.set_viewport_size(viewport)
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await page.screenshot(path=PICTURES / f"{name}-{size}-{scheme}.png")
            assert await serious(page) == [], f"{name}, {size}, {scheme}"
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{name} is {wide} pixels wider than a {size}"


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
