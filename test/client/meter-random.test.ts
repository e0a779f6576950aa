import { expect, test } from 'vitest'
import { meter } from '../../functions/client/meter.ts'
import { randomFrom } from '../machine/random.ts'
import { bursarDouble, type Fate } from './bursar-double.ts'
import { manualClock, quiet } from './manual-clock.ts'

const FATES: Fate[] = ['answer', 'answer', 'answer', 'answer', 'held', 'lost', 'dropped', 'late', 'hang', 503]
const REQUESTS = 120
const SEEDS = process.env.DEEP ? 100 : 4

/** A service whose work fails now and then, behind a meter whose Bursar does too, until both are well again. */
async function live(seed: number, onUnavailable: 'deny' | 'allow') {
  const random = randomFrom(seed)
  const oneOf = <T>(all: readonly T[]) => all[Math.floor(random() * all.length)] as T
  const bursar = bursarDouble({ k: 1_000_000 })
  const clock = manualClock()
  const problems: string[] = []
  const m = meter({
    url: 'http://bursar',
    fetch: bursar.fetch,
    clock,
    onUnavailable,
    allowance: { units: 40, seconds: 600 },
    openTelemetry: false,
    onProblem: ({ code, detail }) => code === 'unavailable' || void problems.push(detail),
  })
  let served = 0
  function serve(units: number, isReserved: boolean, hasFailed: boolean): Promise<Response> {
    const work = m.fetch(
      (request: Request) => {
        if (hasFailed) return new Response('no', { status: 500 })
        served += units
        if (isReserved) m.metered(request).charge(units)
        return new Response(null)
      },
      { units: isReserved ? units + 2 : units, reserve: isReserved },
    )
    return work(new Request('http://service.test/', { headers: { 'x-api-key': 'k' } }))
  }

  const requests: Promise<Response>[] = []
  for (let at = 0; at < REQUESTS; at++) {
    bursar.next(oneOf(FATES))
    requests.push(serve(oneOf([1, 2]), random() < 0.2, random() < 0.2))
    if (random() < 0.5) await clock.advance(oneOf([0, 20, 60, 300]))
    if (random() < 0.3) bursar.release()
    const [reservation] = [...bursar.reservations].find(([, { settled }]) => !settled) ?? []
    if (random() < 0.1 && reservation !== undefined) bursar.expire(reservation)
  }
  bursar.forget()
  for (let round = 0; round < 20; round++) {
    bursar.release()
    await clock.advance(1_000)
  }
  await Promise.all(requests)
  const whileIll = served
  for (const units of [1, 2]) for (let at = 0; at < REQUESTS; at++) await serve(units, false, false)
  await m.close()
  bursar.release()
  await quiet()
  for (const [id, { settled }] of bursar.reservations) if (!settled) bursar.expire(id)
  return {
    served,
    whileIll,
    used: bursar.used('k'),
    left: bursar.left('k'),
    problems,
    timers: clock.timers(),
  }
}

test.each(['deny', 'allow'] as const)(
  '%s: whatever is lost, late or fails, each served unit is paid for once, and no other is',
  async (onUnavailable) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { served, whileIll, used, left, problems, timers } = await live(seed, onUnavailable)
      expect({ seed, used, left, problems, timers }).toEqual({
        seed,
        used: served,
        left: 1_000_000 - served,
        problems: [],
        timers: 0,
      })
      expect(whileIll).toBeGreaterThan(20)
    }
  },
)
