import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DomainError } from '../../core/errors.ts'
import type { Deps } from '../../core/ports.ts'
import type { WatchfulRun } from '../../core/table/due.ts'
import { countsOf, job, runSteps, type Start } from '../../functions/http/job.ts'
import { recordingLog } from '../support/log.ts'

const NOW_MS = Date.UTC(2026, 10, 21, 12)
const WORK = { file: 'a-job', summary: 'Does something', timeoutSeconds: 300, needs: [] } as const
const JOB = { ...WORK, every: 'rate(1 minute)', everyMs: 1000 } as const
const TASK = { ...WORK, atOnce: 2 } as const

let lines: Record<string, unknown>[] = []
beforeEach(() => {
  vi.useFakeTimers({ now: NOW_MS, toFake: ['Date'] })
  lines = []
  vi.spyOn(console, 'log').mockImplementation((line) => void lines.push(JSON.parse(line)))
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** What a run is told, if Lambda says that so much time is left. */
async function startOf(work: typeof JOB | typeof TASK | typeof WORK, remainingMs?: number): Promise<Start> {
  let start: Start | undefined
  const context = remainingMs === undefined ? undefined : { getRemainingTimeInMillis: () => remainingMs }
  await job(work, async (_, told) => {
    start = told
    return {}
  })('the event', context)
  return start ?? expect.unreachable()
}

describe('a run begins no more work', () => {
  test.each([
    ['after two thirds of its time', TASK, 90_000, 60_000],
    ['in the last 50 seconds of a long one', TASK, 900_000, 850_000],
    ['where these are as long: 150 seconds', TASK, 150_000, 100_000],
    ['after 45 seconds if it comes each minute', JOB, 900_000, 45_000],
    ['or sooner, if it has less', JOB, 30_000, 20_000],
    ['by the time-out that its row says, without Lambda', TASK, undefined, 250_000],
    ['nor does a subscriber', WORK, 90_000, 60_000],
  ] as const)('%s', async (_, work, remainingMs, expected) => {
    const { untilMs, event } = await startOf(work, remainingMs)
    expect([untilMs - NOW_MS, event]).toEqual([expected, 'the event'])
  })
})

describe('the log of a run', () => {
  test('has one line with the result, which is answered', async () => {
    expect(await job(JOB, async () => ({ done: 3 }))()).toEqual({ done: 3 })
    expect(lines).toEqual([{ level: 'info', job: 'a-job', ms: expect.any(Number), done: 3 }])
    expect(Number(lines[0]?.ms)).toBeGreaterThanOrEqual(0)
    expect(Number(lines[0]?.ms)).toBeLessThan(60_000)
  })

  test('shows no more of a result than it should', async () => {
    const run = job(
      TASK,
      async () => ({ secret: 'x', done: 1 }),
      ({ done }) => ({ done }),
    )
    expect(await run()).toEqual({ secret: 'x', done: 1 })
    expect(lines).toEqual([{ level: 'info', job: 'a-job', ms: expect.any(Number), done: 1 }])
  })

  test('has an alarm at once, before the result', async () => {
    await job(JOB, async (_, { alarm }) => {
      alarm('payment pi_1: look')
      expect(lines).toEqual([{ level: 'alarm', job: 'a-job', alarm: 'payment pi_1: look' }])
      return {}
    })()
    expect(lines).toHaveLength(2)
  })

  test('says that a run ended early, and the error goes on to whoever has started it', async () => {
    const error = new DomainError('temporarily_unavailable')
    await expect(job(JOB, () => Promise.reject(error))()).rejects.toBe(error)
    expect(lines).toMatchObject([
      { level: 'error', job: 'a-job', what: 'the run ended early', error: 'temporarily_unavailable' },
    ])
  })

  test('names the job, and says how many failures it has left out', async () => {
    await job(JOB, async ({ log }) => {
      for (let n = 0; n < 23; n++) log.error('an item failed', new Error('x'), { item: String(n) })
      return {}
    })()
    expect(lines).toHaveLength(22)
    expect(lines[0]).toMatchObject({ level: 'error', job: 'a-job', what: 'an item failed', item: '0' })
    expect(lines.slice(20)).toMatchObject([
      { level: 'info', job: 'a-job' },
      { level: 'error', job: 'a-job', what: 'more failures', leftOut: 3 },
    ])
  })

  test('of a run that ended early says what it has left out, too', async () => {
    const run = job(JOB, async ({ log }) => {
      for (let n = 0; n < 21; n++) log.warn('an item failed', new Error('x'))
      throw new Error('over')
    })
    await expect(run()).rejects.toThrow('over')
    expect(lines.at(-1)).toMatchObject({ what: 'more failures', leftOut: 1 })
  })
})

test('what a job changes, the system has changed under the name of the job', async () => {
  let origin: unknown
  await job(JOB, async (deps) => {
    ;({ origin } = deps as unknown as { origin: unknown })
    return {}
  })()
  expect(origin).toEqual({ by: 'system', name: 'a-job' })
})

describe('the steps of a run', () => {
  function open() {
    let nowMs = NOW_MS
    const { log, lines: logged } = recordingLog(() => nowMs)
    const deps = { clock: { nowMs: () => nowMs }, log } as unknown as Deps
    const raised: string[] = []
    const run: WatchfulRun = {
      ...{ untilMs: NOW_MS + 90_000, width: 4 },
      alarm: (sentence) => void raised.push(sentence),
    }
    return {
      ...{ deps, run, raised, logged },
      advance: (ms: number) => {
        nowMs += ms
      },
    }
  }

  test('have equal parts of the time that is left, and what a step leaves the next ones share', async () => {
    const { deps, run, advance } = open()
    const until: number[] = []
    const step =
      (takesMs: number) =>
      async ({ untilMs, width }: WatchfulRun) => {
        until.push(untilMs - NOW_MS)
        advance(takesMs)
        return { width }
      }
    await runSteps(deps, run, { a: step(10_000), b: step(60_000), c: step(30_000) })
    expect(until).toEqual([30_000, 50_000, 90_000])
    const late = open()
    late.advance(100_000)
    let untilMs = 0
    await runSteps(late.deps, late.run, {
      a: async (part) => {
        ;({ untilMs } = part)
        return {}
      },
    })
    expect(untilMs - NOW_MS).toBe(100_000)
  })

  test('give their counts and alarms together', async () => {
    const { deps, run, raised } = open()
    const result = await runSteps(deps, run, {
      mails: countsOf('sent', 'mailsFailed', async () => ({ done: 2, failed: 1 })),
      cards: async ({ alarm }) => {
        alarm('card: look')
        return { compared: 5 }
      },
    })
    expect(result).toEqual({ sent: 2, mailsFailed: 1, compared: 5, alarms: ['card: look'] })
    expect(raised).toEqual(['card: look'])
  })

  test('all run, whatever became of one, whose error is logged and then thrown', async () => {
    const { deps, run, logged } = open()
    const done: string[] = []
    const failing = (name: string) => async () => {
      done.push(name)
      throw new Error(name)
    }
    const last = async () => {
      done.push('c')
      return {}
    }
    const steps = { a: failing('a'), b: failing('b'), c: last }
    await expect(runSteps(deps, run, steps)).rejects.toThrow('a')
    expect(done).toEqual(['a', 'b', 'c'])
    expect(logged.map(({ level, item }) => [level, item])).toEqual([
      ['error', 'a'],
      ['error', 'b'],
    ])
  })
})
