import { afterEach, expect, test, vi } from 'vitest'

afterEach(() => vi.unstubAllEnvs())

const ENV = {
  STAGE: 'dev-ada',
  APP_NAME: 'Acme',
  PAGE_SETTINGS: '{"supportEmail":"help@acme.io"}',
  STRIPE_SECRET_KEY: 'sk_test_51NotReal',
  STRIPE_PUBLISHABLE_KEY: 'pk_test_51NotReal',
  STRIPE_WEBHOOK_SECRETS: 'whsec_one',
}

/** The composition root of a container that has just started. */
async function liveWith(changes: Partial<typeof ENV>) {
  for (const [name, value] of Object.entries({ ...ENV, ...changes })) vi.stubEnv(name, value)
  vi.resetModules()
  return (await import('../../functions/http/live.ts')).live
}

test.each([
  ['sk_test_51NotReal', false],
  ['rk_test_51NotReal', false],
  ['sk_live_51NotReal', true],
  ['rk_live_51NotReal', true],
])('a stage that starts with the key %s accepts events with livemode %s', async (key, livemode) => {
  const stage = livemode ? 'production' : 'dev-ada'
  const live = await liveWith({ STAGE: stage, STRIPE_SECRET_KEY: key })
  const { paymentScope, webhookSecrets } = await live(['payments', 'paymentScope', 'webhookSecrets'])
  expect([paymentScope, webhookSecrets]).toEqual([{ livemode, stage }, ['whsec_one']])
})

test('a function knows which payments are ours without any secret', async () => {
  const live = await liveWith({ STRIPE_SECRET_KEY: '', STRIPE_WEBHOOK_SECRETS: '' })
  expect((await live(['paymentScope'])).paymentScope).toEqual({ livemode: false, stage: 'dev-ada' })
})

test.each([
  [
    'production',
    'sk_test_51NotReal',
    'is a key of the test mode. Set sk_live_… or rk_live_…, and deploy again.',
  ],
  [
    'production',
    'rk_test_51NotReal',
    'is a key of the test mode. Set sk_live_… or rk_live_…, and deploy again.',
  ],
  [
    'dev-ada',
    'sk_live_51NotReal',
    'is a key of the live mode. Set sk_test_… or rk_test_…, and deploy again.',
  ],
  ['production', 'pk_live_51NotReal', 'is a publishable key. Set sk_live_…'],
  ['dev-ada', 'whsec_one', 'is the signing secret of a webhook endpoint. Set sk_test_…'],
  ['dev-ada', 'rubbish', 'is nothing that Stripe gives out. Set sk_test_…'],
])('on the stage %s a function with the key %s does not start', async (stage, key, sentence) => {
  const live = await liveWith({ STAGE: stage, STRIPE_SECRET_KEY: key })
  await expect(live(['payments'])).rejects.toThrow(`STRIPE_SECRET_KEY ${sentence}`)
  await expect(live(['payments'])).rejects.not.toThrow(key)
})

test('no function starts with a key in the place of a webhook secret', async () => {
  const live = await liveWith({ STRIPE_WEBHOOK_SECRETS: 'whsec_one,sk_test_51NotReal' })
  await expect(live(['webhookSecrets'])).rejects.toThrow(
    'STRIPE_WEBHOOK_SECRETS is a secret key. Set whsec_…, or two of them',
  )
})

test.each([
  ['sk_test_51NotReal', 'a secret key'],
  ['rk_test_51NotReal', 'a restricted key'],
  ['pk_live_51NotReal', 'a key of the live mode'],
])('nothing that is to stay secret is told to pages: %s', async (key, is) => {
  const live = await liveWith({ STRIPE_PUBLISHABLE_KEY: key })
  await expect(live(['deployment'])).rejects.toThrow(
    `STRIPE_PUBLISHABLE_KEY is ${is}. Set pk_test_…, and deploy again.`,
  )
})

test('pages are told what the deployment has set', async () => {
  const live = await liveWith({ PAGE_SETTINGS: '{"supportEmail":"help@acme.io","color":"#0a5cff"}' })
  expect((await live(['deployment'])).deployment).toEqual({
    appName: 'Acme',
    publishableKey: 'pk_test_51NotReal',
    supportEmail: 'help@acme.io',
    color: '#0a5cff',
  })
})
