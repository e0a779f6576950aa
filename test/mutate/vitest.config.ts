import { defineConfig } from 'vitest/config'
import { TESTS } from './folders.ts'

/** As `test/vitest.config.ts`, for `npm run mutate`: one worker, which keeps its process from one mutant to the next. */
export default defineConfig({
  root: `${import.meta.dirname}/../..`,
  resolve: {
    alias: {
      'bursar/client': `${import.meta.dirname}/../../functions/client/client.ts`,
      'bursar/meter': `${import.meta.dirname}/../../functions/client/meter.ts`,
    },
  },
  test: {
    setupFiles: [
      'test/support/fresh-process.ts',
      'test/support/no-network.ts',
      'test/support/short-ways.ts',
      'test/mutate/setup.ts',
    ],
    include: Object.values(TESTS).flat(),
    isolate: false,
    maxWorkers: 1,
    execArgv: ['--max-semi-space-size=64'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: [],
  },
})
