export type Random = () => number

/** Random numbers from 0 to 1 (mulberry32). A seed always gives the same ones. */
export function randomOf(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** From here on a normal distribution stands for Poisson's. */
const MANY = 50

/** How often something happens that happens `mean` times on average, independently each time. */
export function poisson(random: Random, mean: number): number {
  if (mean <= 0) return 0
  if (mean > MANY) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal(random)))
  const end = Math.exp(-mean)
  let count = 0
  for (let product = random(); product > end; product *= random()) count++
  return count
}

/** Box and Muller's method. */
const normal = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())

/** The busiest of the 60 seconds of a minute that has `perSecond` on average: about 2.3 deviations above it. */
export const busiestSecond = (perSecond: number): number =>
  perSecond + 2.3 * Math.sqrt(Math.max(0, perSecond))
