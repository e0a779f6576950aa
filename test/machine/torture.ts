import { parseArgs } from 'node:util'
import { liveThrough } from './purchase-history.ts'
import { holdUnits } from './reservation-history.ts'

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
/** One life of an account that buys, and one history of reservations and leases, by the same seed. */
async function play(next: number): Promise<string | undefined> {
  const { failure } = await liveThrough({ seed: next, runs: 1 })
  if (failure) return failure.report
  try {
    await holdUnits(next)
  } catch (error) {
    const replay = `replay: npm run torture -- --seed ${next} --runs 1`
    return `${(error as Error).stack}\nafter a history of reservations and leases\n${replay}`
  }
  return undefined
}

let done = 0
let report: string | undefined
while (done < runs && Date.now() < untilMs) {
  report = await play(seed + done)
  if (report !== undefined) break
  done++
  if (Date.now() - reportedMs < 5_000) continue
  reportedMs = Date.now()
  console.log(
    `${done} lives of an account in ${Math.round((reportedMs - startedMs) / 1000)} s, no failure so far`,
  )
}
if (report !== undefined) {
  console.error(report)
  process.exitCode = 1
} else {
  console.log(
    `${done} lives of an account: money taken is units credited, and units are left, used or held in all of them`,
  )
}
