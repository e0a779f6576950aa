import { defineConfig } from 'vitest/config'

export default defineConfig({
  root: `${import.meta.dirname}/..`,
  test: {
    include: ['test/**/*.test.ts'],
    // `*.deep.test.ts` breaks every flow at every call in every way; `npm run check` and CI run those too.
    exclude: process.env.DEEP ? [] : ['test/**/*.deep.test.ts'],
    // Bundles run as Lambda runs them, untransformed.
    server: { deps: { external: [/\/\.bundles\//] } },
    setupFiles: ['test/support/no-network.ts'],
    // A file is one stack of doubles, which keeps a core busy; two are what CI has.
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
})
