/** Colours of the deployment. A page works with none. */

/** Relative luminance of `#rrggbb` (WCAG 2.2). */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5]
    .map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((value) => (value <= 0.040_45 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/** Black or white, whichever is easier to read on a colour: one of them always has 4.5 to 1. */
export const textOn = (colour: string): string => (luminance(colour) > 0.179 ? '#000000' : '#ffffff')

/** Applies the accent colour, `#rrggbb`. A stylesheet reads it as `--accent`, with the colour of text on it. */
export function applyAccent(colour: string | null | undefined): void {
  if (!colour || !/^#[0-9a-f]{6}$/i.test(colour)) return
  document.documentElement.style.setProperty('--accent', colour)
  document.documentElement.style.setProperty('--on-accent', textOn(colour))
}
