import { defineConfig } from 'vitest/config'

/** `npm run check:infra`: graphs take seconds each, so that `npm test` is spared them. */
export default defineConfig({
  root: `${import.meta.dirname}/../..`,
  test: {
    include: ['test/infra/*.graph.ts'],
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
