/**
 * `npm run fuzz -- --seed S --requests N [--route 'GET /v1/usage']`: sends N hostile requests, spread evenly over all
 * endpoints, to the local stack in this process, and says what is wrong with the answers. A seed stands for one sequence.
 */
import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import { startVitest } from 'vitest/node'
import { operations } from './operations.ts'
import type {} from './routes.ts'

const { values } = parseArgs({
  options: { seed: { type: 'string' }, requests: { type: 'string' }, route: { type: 'string' } },
})
const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed)
const requests = Number(values.requests ?? 10_000)
const routes = operations.map(({ route }) => route).filter((each) => (values.route ?? each) === each)
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(requests) || requests < 1 || routes.length === 0) {
  console.error("Usage: npm run fuzz -- --seed S --requests N [--route 'METHOD /path']")
  console.error(
    `Seed and requests are whole numbers. A route is one of:\n${operations.map(({ route }) => route).join('\n')}`,
  )
  process.exit(2)
}

const perRoute = Math.ceil(requests / routes.length)
console.log(`seed ${seed}, ${perRoute} requests to each of ${routes.length} routes`)
Object.assign(process.env, { DEEP: '1', FUZZ_SEED: String(seed), FUZZ_PER_ROUTE: String(perRoute) })
if (values.route !== undefined) process.env.FUZZ_ROUTE = values.route

const startedMs = performance.now()
const vitest = await startVitest('test', ['test/fuzz/first-half', 'test/fuzz/second-half'], {
  config: `${import.meta.dirname}/../vitest.config.ts`,
  passWithNoTests: true,
  run: true,
})
const runs = vitest.state
  .getTestModules()
  .flatMap((module) => [...module.children.allTests()])
  .map((test) => test.meta().fuzzed)
  .filter((fuzzed) => fuzzed !== undefined)
await vitest.close()

const seconds = Math.round((performance.now() - startedMs) / 1000)
const digest = createHash('sha256')
for (const { route, digest: own } of runs.sort((a, b) => (a.route < b.route ? -1 : 1)))
  digest.update(route + own)
const findings = runs.reduce((sum, each) => sum + each.findings, 0)
const statuses = new Map<string, number>()
for (const [outcome, count] of runs.flatMap(({ outcomes }) => outcomes)) {
  const status = outcome.slice(0, 3)
  statuses.set(status, (statuses.get(status) ?? 0) + count)
}
const byStatus = [...statuses].sort().map(([status, count]) => `${status}: ${count}`)
console.log(
  `${perRoute * runs.length} requests in ${seconds} s, ${findings} findings; ${byStatus.join(', ')}; verdicts ${digest.digest('hex').slice(0, 16)}`,
)
if (findings > 0)
  console.log('The findings are above, each with its request as curl and with what to do next.')
process.exitCode = findings > 0 || runs.length < routes.length ? 1 : 0
