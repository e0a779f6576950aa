import { defineConfig } from 'vitest/config'

/** `npm run check:infra` runs these tests. Each graph takes seconds, so `npm test` leaves them out. */
export default defineConfig({
  root: `${import.meta.dirname}/../..`,
  test: {
    include: ['test/infra/*.graph.ts'],
    globalSetup: 'test/infra/built-pages.ts',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
