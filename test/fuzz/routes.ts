import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { progressOn } from '../support/progress.ts'
import { type Finding, fuzzRoute, makeOthers, nameOf, reportOf } from './fuzz.ts'
import { operations } from './operations.ts'

/** `npm run fuzz` passes its options to the process of the tests in this way. */
const env = process.env
const seed = Number(env.FUZZ_SEED ?? 1)
const perRoute = Number(env.FUZZ_PER_ROUTE ?? 200)

/** What a test tells `npm run fuzz` about its route. */
interface Fuzzed {
  route: string
  findings: number
  outcomes: [outcome: string, count: number][]
  digest: string
}

declare module 'vitest' {
  interface TaskMeta {
    fuzzed?: Fuzzed
  }
}

/** How many findings of a route are shown. */
const SHOWN = 3

/**
 * One test a route.
 * @param isMine which of the operations, so that two files share them and run at once.
 */
export async function testRoutes(isMine: (nth: number) => boolean): Promise<void> {
  const app = await startApp()
  const progress = progressOn()
  const chosen = operations.filter(({ route }, nth) => isMine(nth) && (env.FUZZ_ROUTE ?? route) === route)
  let done = 0

  const shown = (findings: Finding[]): string =>
    findings
      .slice(0, SHOWN)
      .map((finding) => reportOf(finding, seed, app.url))
      .join('\n\n')

  for (const operation of chosen) {
    const title = `${nameOf(operation)} answers ${perRoute} hostile requests as documented, and shows nothing of others`
    test(title, async ({ task }) => {
      await app.startAfresh()
      const run = { seed, perRoute }
      const { findings, outcomes, digest } = await fuzzRoute(app, operation, await makeOthers(app), run)
      const { route } = operation
      task.meta.fuzzed = { route, findings: findings.length, outcomes: [...outcomes], digest }
      progress(`${++done} of ${chosen.length} routes, ${done * perRoute} requests; the last was ${route}`)
      expect(findings.length, shown(findings)).toBe(0)
    })
  }
}
