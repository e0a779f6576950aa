import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { ShortReporter } from './support/reporter.ts'

/**
 * Test files that have a process to themselves: they replace modules, or settings that functions read once. All others
 * share the process of their worker, with its loaded modules and its stack.
 */
export const ALONE = [
  'test/adapters/webauthn.test.ts',
  'test/conformance/catalogue.deep.test.ts',
  'test/conformance/challenge.test.ts',
  'test/conformance/root-secret.deep.test.ts',
  'test/conformance/tokens.deep.test.ts',
  'test/conformance/webhooks.deep.test.ts',
]

/** Files with a process to themselves come first: a worker keeps its process only from one shared file to the next. */
class AloneFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isAlone = ({ project }: TestSpecification) => project.name === 'alone'
    return [...sorted.filter(isAlone), ...sorted.filter((file) => !isAlone(file))]
  }
}

// `*.deep.test.ts` breaks every flow at every call, plays long histories, and checks the doubles; `npm run check` and CI
// run those too.
const exclude = process.env.DEEP ? [] : ['test/**/*.deep.test.ts']

export default defineConfig({
  root: `${import.meta.dirname}/..`,
  // Tests take the client's sources by the name of the package, so that no test sees an old build.
  resolve: {
    alias: {
      'bursar/client': `${import.meta.dirname}/../functions/client/client.ts`,
      'bursar/meter': `${import.meta.dirname}/../functions/client/meter.ts`,
    },
  },
  test: {
    // Bundles run as Lambda runs them, untransformed.
    server: { deps: { external: [/\/\.bundles\//] } },
    setupFiles: ['test/support/fresh-process.ts', 'test/support/no-network.ts', 'test/support/short-ways.ts'],
    // A worker keeps a core busy; two are what CI has.
    maxWorkers: 2,
    // Much is made and thrown away at once: with little room for it, collecting it takes twice the time.
    execArgv: ['--max-semi-space-size=64'],
    // For what hangs. However busy the machine is, no test takes as long.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: [new ShortReporter()],
    sequence: { sequencer: AloneFirst },
    projects: [
      { extends: true, test: { name: 'alone', include: ALONE, exclude, isolate: true } },
      {
        extends: true,
        test: {
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: [...exclude, ...ALONE],
          isolate: false,
        },
      },
    ],
  },
})
