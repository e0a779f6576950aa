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
  const stage = livemode ? 'production' : 'dev-ada'
  vi.stubEnv('STAGE', stage)
  vi.resetModules()
  const { live } = await import('../../functions/http/live.ts')
  expect((await live(['webhooks'])).webhooks).toEqual({ secrets: ['whsec_one'], livemode, stage })
})

test.each([
  ['production', 'sk_test_51NotReal', /production takes live keys only/],
  ['production', 'rk_test_51NotReal', /production takes live keys only/],
  ['dev-ada', 'sk_live_51NotReal', /only production takes live keys/],
  ['production', 'pk_live_51NotReal', /no secret key of Stripe/],
  ['dev-ada', 'rubbish', /no secret key of Stripe/],
])('on the stage %s a function with the key %s does not start', async (stage, key, sentence) => {
  vi.stubEnv('STRIPE_SECRET_KEY', key)
  vi.stubEnv('STRIPE_WEBHOOK_SECRETS', 'whsec_one')
  vi.stubEnv('STAGE', stage)
  vi.resetModules()
  const { live } = await import('../../functions/http/live.ts')
  await expect(live(['webhooks'])).rejects.toThrow(sentence)
  await expect(live(['payments'])).rejects.toThrow(sentence)
  await expect(live(['payments'])).rejects.not.toThrow(key)
})
