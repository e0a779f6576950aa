import { afterEach, expect, test, vi } from 'vitest'

afterEach(() => vi.unstubAllEnvs())

test.each([
  ['sk_test_51NotReal', false],
  ['rk_test_51NotReal', false],
  ['sk_live_51NotReal', true],
  ['rk_live_51NotReal', true],
])('the key %s accepts events with livemode %s', async (key, livemode) => {
  vi.stubEnv('STRIPE_SECRET_KEY', key)
  vi.stubEnv('STRIPE_WEBHOOK_SECRETS', 'whsec_one')
  vi.resetModules()
  const { live } = await import('../../functions/http/live.ts')
  expect((await live(['webhooks'])).webhooks).toEqual({ secrets: ['whsec_one'], livemode })
})
