import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import Stripe from 'stripe'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type StripeDouble, startStripe } from '../local/stripe.ts'

const run = promisify(execFile)
const secretKey = 'sk_test_cli000000000'
const cli = join(dirname(createRequire(import.meta.url).resolve('@stripe/cli/package.json')), 'bin/shim.js')

/**
 * Runs Stripe's own CLI against the double. Its triggers are written for Stripe, and each must cause the
 * event that the trigger is named after. All triggers for cards and payments are tested except those with
 * other payment methods (`payment_intent.processing`, `payment_intent.partially_funded`,
 * `customer.source.*`).
 */
describe('the Stripe CLI triggers', () => {
  let double: StripeDouble
  let stripe: Stripe
  let home: string
  const errors: unknown[] = []

  beforeAll(async () => {
    double = await startStripe({ nowMs: Date.now, onError: (error) => errors.push(error) })
    const { hostname: host, port } = new URL(double.url)
    stripe = new Stripe(secretKey, { host, port, protocol: 'http', telemetry: false })
    home = mkdtempSync(join(tmpdir(), 'stripe-cli-'))
  })
  afterAll(async () => {
    await double.close()
    rmSync(home, { recursive: true })
    expect(errors).toEqual([])
  })

  const trigger = (event: string) =>
    run(process.execPath, [cli, 'trigger', event, '--api-base', double.url, '--api-key', secretKey], {
      env: {
        PATH: process.env.PATH,
        // An empty home folder keeps the developer's own settings out.
        HOME: home,
        XDG_CONFIG_HOME: home,
        // No telemetry and no check for updates: the proxy for all other hosts is a closed port.
        STRIPE_CLI_TELEMETRY_OPTOUT: '1',
        HTTPS_PROXY: 'http://127.0.0.1:9',
      },
    })

  test.each([
    'charge.captured',
    'charge.dispute.closed',
    'charge.dispute.created',
    'charge.dispute.updated',
    'charge.failed',
    'charge.refund.updated',
    'charge.refunded',
    'charge.succeeded',
    'customer.created',
    'customer.deleted',
    'customer.updated',
    'payment_intent.amount_capturable_updated',
    'payment_intent.canceled',
    'payment_intent.created',
    'payment_intent.payment_failed',
    'payment_intent.requires_action',
    'payment_intent.succeeded',
    'payment_method.attached',
    'payment_method.detached',
    'payment_method.updated',
    'setup_intent.canceled',
    'setup_intent.created',
    'setup_intent.requires_action',
    'setup_intent.setup_failed',
    'setup_intent.succeeded',
  ])('%s', async (event) => {
    const before = (await stripe.events.list({ type: event, limit: 100 })).data.length
    await trigger(event)
    const after = await stripe.events.list({ type: event, limit: 100 })
    expect(after.data.length).toBe(before + 1)
    expect(after.data[0]?.type).toBe(event)
  })

  test('a trigger that the double does not support fails and says so', async () => {
    await expect(trigger('invoice.paid')).rejects.toThrow()
  })
})
