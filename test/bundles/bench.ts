import { type Deployed, functions } from '../../functions/deploy/functions.ts'
import { progressOn } from '../support/progress.ts'
import { budgets, classOf, type FunctionClass } from './budgets.ts'
import { builtModule, complaints, discardBundles, type Weight, weigh } from './inspect.ts'
import { measureStarts, type Start } from './measure.ts'

/**
 * `npm run bench:cold` weighs and starts every function and prints the table. `npm run check:bundles` (`--check`)
 * weighs every function, starts the heaviest of each class, and ends with 1 if one is over its budget.
 */
const check = process.argv.includes('--check')
const ROUNDS = 15
const ROUNDS_AGAIN = 41
const MEASURED_AGAIN = 2
/** How many of the heaviest functions of each class `--check` starts. */
const HEAVIEST = 2

const progress = progressOn()

async function measure(fns: readonly Deployed[], rounds: number) {
  const modules = new Map(fns.map((fn) => [fn.name, builtModule(fn)]))
  const { emptyMs, starts } = await measureStarts(modules, rounds, (name, round) =>
    progress(`round ${round} of ${rounds} over ${fns.length} functions: ${name} has started`),
  )
  progress('')
  return { emptyMs, starts }
}

const isSlow = (fn: Deployed, start: Start | undefined) => !start || start.ratio > budgets[classOf(fn)].ratio

function heaviest(weights: readonly Weight[]): Deployed[] {
  const classes = Map.groupBy(weights, ({ fn }) => classOf(fn))
  return [...classes.values()].flatMap((of) =>
    of
      .toSorted((a, b) => b.initKb - a.initKb)
      .slice(0, HEAVIEST)
      .map(({ fn }) => fn),
  )
}

function print(weights: readonly Weight[], starts: ReadonlyMap<string, Start>): void {
  const line = (...cells: (string | number)[]) => {
    const [name = '', ...rest] = cells
    console.log([String(name).padEnd(30), ...rest.map((cell) => String(cell).padStart(9))].join(' '))
  }
  line('function', 'init KB', 'of', 'all KB', 'of', 'CPU ms', 'ratio', 'of')
  for (const { fn, initKb, packageKb } of weights) {
    const budget = budgets[classOf(fn)]
    const start = starts.get(fn.name)
    const times = start ? [start.cpuMs.toFixed(1), start.ratio.toFixed(2), budget.ratio.toFixed(2)] : []
    line(fn.name, initKb.toFixed(1), budget.initKb, packageKb.toFixed(1), budget.packageKb, ...times)
  }
}

progress(`building and weighing ${functions.length} functions`)
const weights = await weigh()
const wrong = weights.flatMap(complaints)
const measured = check ? heaviest(weights) : functions
const { emptyMs, starts } = await measure(measured, ROUNDS)
let slow = measured.filter((fn) => isSlow(fn, starts.get(fn.name)))
// Measure slow functions again with more rounds, because a busy machine can slow a start.
for (let again = 0; check && slow.length > 0 && again < MEASURED_AGAIN; again++) {
  const longer = await measure(slow, ROUNDS_AGAIN)
  for (const [name, start] of longer.starts) starts.set(name, start)
  slow = slow.filter((fn) => isSlow(fn, starts.get(fn.name)))
}
print(check ? weights.filter(({ fn }) => measured.includes(fn)) : weights, starts)
console.log(`an empty handler: ${emptyMs.toFixed(1)} ms of CPU; medians, each start in its own process`)
const classes = Map.groupBy(functions, classOf)
const sizes = [...classes].map(([name, of]: [FunctionClass, Deployed[]]) => `${of.length} ${name}`)
console.log(`${functions.length} functions: ${sizes.join(', ')}`)
for (const fn of slow)
  wrong.push(
    `${fn.name} takes ${starts.get(fn.name)?.ratio.toFixed(2)} times an empty handler's CPU to start`,
  )
for (const sentence of wrong) console.error(sentence)
if (wrong.length > 0) process.exitCode = 1
discardBundles()
