import { parseArgs } from 'node:util'
import { liveThrough } from './purchase-history.ts'

// stripe-node captures a stack trace with every call; short traces keep the calls fast.
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
  console.error('Usage: npm run torture -- --minutes N | --seed S --runs N')
  process.exit(2)
}

console.log(`seed ${seed}`)
let reportedMs = startedMs
const { runs: done, failure } = await liveThrough({
  seed,
  runs,
  onRun(lived) {
    if (Date.now() - reportedMs >= 5_000) {
      reportedMs = Date.now()
      console.log(
        `${lived} lives of an account in ${Math.round((reportedMs - startedMs) / 1000)} s, no failure so far`,
      )
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
