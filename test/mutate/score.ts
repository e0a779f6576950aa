/** The share of mutants that were killed, with its 95 % confidence interval (Wilson's), as text. */
export function score(killed: number, survived: number): string {
  const run = killed + survived
  if (run === 0) return 'none run'
  const z = 1.96
  const part = killed / run
  const middle = (part + z ** 2 / (2 * run)) / (1 + z ** 2 / run)
  const half = (z * Math.sqrt((part * (1 - part)) / run + z ** 2 / (4 * run ** 2))) / (1 + z ** 2 / run)
  const percent = (value: number) => (value * 100).toFixed(1)
  return `${percent(part)} % (${percent(middle - half)}–${percent(Math.min(1, middle + half))})`
}
