import { parseArgs } from 'node:util'
import { liveThrough } from './purchase-history.ts'

// stripe-node takes a stack with every call, which costs as much as the call.
Error.stackTraceLimit = 10

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    runs: { type: 'string' },
  },
})
const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed)
const runs = values.runs === undefined ? Number.POSITIVE_INFINITY : Number(values.runs)
const startedMs = Date.now()
const untilMs =
  values.runs === undefined ? startedMs + Number(values.minutes) * 60_000 : Number.POSITIVE_INFINITY
if (!Number.isSafeInteger(seed) || Number.isNaN(runs) || Number.isNaN(untilMs)) {
  console.error('npm run torture -- --minutes N | --seed S --runs N')
  process.exit(2)
}

console.log(`seed ${seed}`)
let told = startedMs
const { runs: done, failure } = await liveThrough({
  seed,
  runs,
  onRun(lived) {
    if (Date.now() - told >= 5_000) {
      told = Date.now()
      console.log(`${lived} lives of an account in ${Math.round((told - startedMs) / 1000)} s, nothing wrong`)
    }
    return Date.now() < untilMs
  },
})
if (failure) {
  console.error(failure.report)
  process.exitCode = 1
} else {
  console.log(`${done} lives of an account: money taken is units credited in all of them`)
}
