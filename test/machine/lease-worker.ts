/**
 * A separate process that meters with leases: `node lease-worker.ts`, with a `LeaseWork` as JSON on standard input. It
 * writes `1` for each spend that is served, as it serves it, and a line with the code for each refusal.
 */
import { writeSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { meter } from '../../functions/client/meter.ts'

export interface LeaseWork {
  url: string
  key: string
  spends: number
  /** Spends in flight. */
  lanes: number
  unreported: 'return' | 'charge'
  /** The time of Bursar when the process starts, epoch ms. */
  startMs: number
  /** By how much the wall clock is set at each hundredth spend, in turn, ms. */
  jumpsMs: number[]
}

const work: LeaseWork = JSON.parse(await text(process.stdin))
let [jumpedMs, made] = [0, 0]
const problems = new Set<string>()

const m = meter({
  url: work.url,
  mode: 'leased',
  lease: { ttlSeconds: 60, units: 200, unreported: work.unreported },
  openTelemetry: false,
  // What this machine does meanwhile must not matter.
  timeoutMs: 20_000,
  hedgeAfterMs: 10_000,
  clock: {
    nowMs: () => work.startMs + performance.now() + jumpedMs,
    after(ms, run) {
      const timer = setTimeout(run, ms)
      return () => clearTimeout(timer)
    },
  },
  onProblem: ({ code, detail }) => void problems.add(`${code}: ${detail}`),
})

async function lane(): Promise<void> {
  while (made < work.spends) {
    made += 1
    if (made % 100 === 0) jumpedMs += work.jumpsMs[(made / 100) % work.jumpsMs.length] ?? 0
    const decision = await m.spend({ key: work.key, units: 1, tag: 'work' })
    writeSync(1, decision.allowed ? '1\n' : `${decision.code}\n`)
    if (made % 10 === 0) await pause(1)
  }
}

await Promise.all(Array.from({ length: work.lanes }, lane))
await m.close()
writeSync(1, `end ${[...problems].join('; ')}\n`)
