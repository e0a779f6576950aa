/** `npm run test:times [-- FILES]`: runs the tests and shows which files and which tests took longest. */
import { startVitest, type TestModule } from 'vitest/node'

const SHOWN = 20

const vitest = await startVitest('test', process.argv.slice(2), {
  config: `${import.meta.dirname}/vitest.config.ts`,
  run: true,
})
const modules = vitest.state.getTestModules()
const tests = modules.flatMap((module) => [...module.children.allTests()].map((test) => ({ module, test })))

const nameOf = ({ relativeModuleId }: TestModule) => relativeModuleId

/** One line each, slowest first, in seconds. */
function show(title: string, timed: { name: string; ms: number }[]): void {
  const slowest = timed.sort((a, b) => b.ms - a.ms).slice(0, SHOWN)
  console.log(`\n${title}\n`)
  for (const { name, ms } of slowest) console.log(`${(ms / 1000).toFixed(1).padStart(6)} s  ${name}`)
}

show(
  `The ${SHOWN} slowest test files, of ${modules.length}, imports included`,
  modules.map((module) => {
    const { duration, collectDuration, setupDuration } = module.diagnostic()
    return { name: nameOf(module), ms: duration + collectDuration + setupDuration }
  }),
)
show(
  `The ${SHOWN} slowest tests, of ${tests.length}`,
  tests.map(({ module, test }) => ({
    name: `${nameOf(module)}: ${test.fullName}`,
    ms: test.diagnostic()?.duration ?? 0,
  })),
)
await vitest.close()
