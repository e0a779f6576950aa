import { randomUUID } from 'node:crypto'
import type Stripe from 'stripe'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { DomainError } from '../../core/errors.ts'
import type {
  NewPayment,
  OutcomeUnknown,
  Payment,
  PaymentCard,
  PaymentCustomer,
  PaymentPurpose,
  PaymentRefused,
  Payments,
} from '../../core/ports.ts'

/** The adapter on Stripe or its double, and a client of the same service for what the port cannot do. */
export interface PaymentsUnderTest {
  payments: Payments
  /** Acts as the customer's browser and as the operator. */
  stripe: Stripe
  close(): Promise<void>
}

/** For `rejects`: a DomainError of this code. */
export function domainError(code: string): unknown {
  return expect.toSatisfy((error) => error instanceof DomainError && error.code === code)
}

export function accountIdForTest(): string {
  return randomUUID().replaceAll('-', '').slice(0, 24)
}

const unusable = { status: 'refused', reason: 'card_unusable' }

/** Makes a new customer. */
export function newCustomer({ payments }: PaymentsUnderTest): Promise<PaymentCustomer> {
  return payments.createCustomer(accountIdForTest())
}

/** Makes an unattached card, as a browser does. @returns the card's id. */
export async function newCard({ stripe }: PaymentsUnderTest, name = 'pm_card_visa'): Promise<string> {
  const { id } = await stripe.paymentMethods.retrieve(name)
  return id
}

/** Makes a ConfirmationToken, as the Payment Element does in a browser. */
export async function newToken(subject: PaymentsUnderTest, name = 'pm_card_visa'): Promise<string> {
  const { id } = await subject.stripe.testHelpers.confirmationTokens.create({
    payment_method: await newCard(subject, name),
  })
  return id
}

export async function attachedCard(
  subject: PaymentsUnderTest,
  customerId: string,
  name = 'pm_card_visa',
): Promise<PaymentCard> {
  const result = await subject.payments.attachCard(await newCard(subject, name), customerId)
  if (result.status !== 'attached') throw new Error(`${name} was not attached: ${JSON.stringify(result)}`)
  return result.card
}

/** Creates a payment for a new account and does not confirm it. */
export async function newPayment(
  { payments }: PaymentsUnderTest,
  purpose: PaymentPurpose,
  customerId: string,
  paymentMethodId: string,
  changes: Partial<NewPayment> = {},
): Promise<Payment> {
  const purchase = randomUUID()
  const result = await payments.createPayment({
    purpose,
    amountCents: purpose === 'hold' ? 100 : 999,
    currency: 'usd',
    customerId,
    paymentMethodId,
    metadata: { account: 'a', purchase, stage: 'test' },
    description: 'DEVELOPER bundle',
    statementSuffix: 'DEVELOPER',
    idempotencyKey: purchase,
    ...changes,
  })
  return created(result)
}

export function created(result: Payment | PaymentRefused): Payment {
  if (result.status === 'refused') throw new Error(`refused: ${result.reason}`)
  return result
}

export function known(result: Payment | OutcomeUnknown): Payment {
  if (result.status === 'unknown') throw new Error(`unknown: ${String(result.cause)}`)
  return result
}

/** Pays with an attached card. @returns the succeeded payment. */
export async function paid(
  subject: PaymentsUnderTest,
  customerId: string,
  cardName = 'pm_card_visa',
): Promise<Payment & { latestChargeId: string }> {
  const card = await attachedCard(subject, customerId, cardName)
  const { id } = await newPayment(subject, 'purchase', customerId, card.id)
  const payment = known(await subject.payments.confirmPayment(id, 'purchase'))
  if (payment.status !== 'succeeded' || !payment.latestChargeId) throw new Error(`it ${payment.status}`)
  return { ...payment, latestChargeId: payment.latestChargeId }
}

/** The guarantees of every `Payments` on Stripe's API. */
export function paymentsContract(title: string, open: () => Promise<PaymentsUnderTest>): void {
  describe(title, () => {
    let subject: PaymentsUnderTest
    let payments: Payments
    let stripe: Stripe

    beforeAll(async () => {
      subject = await open()
      payments = subject.payments
      stripe = subject.stripe
    })
    afterAll(() => subject.close())

    describe('customers', () => {
      test('an account has one customer, however often it is created', async () => {
        const accountId = accountIdForTest()
        const first = await payments.createCustomer(accountId)
        const again = await payments.createCustomer(accountId)
        expect(again).toEqual(first)
        expect(first).toMatchObject({ accountId, metadata: { account: accountId }, livemode: false })
      })

      test('a deletion takes the customer and its cards, keeps its payments, and may be repeated', async () => {
        const { id } = await newCustomer(subject)
        const payment = await paid(subject, id)
        const card = payment.paymentMethodId ?? ''
        expect(await payments.deleteCustomer(id)).toBe('deleted')
        expect(await payments.deleteCustomer(id)).toBe('deleted')
        expect(await payments.readCustomer(id)).toBe('deleted')
        expect((await payments.readCard(card))?.customerId).toBeUndefined()
        expect(await payments.readPayment(payment.id)).toMatchObject({ status: 'succeeded', customerId: id })
      })

      test('the deletion of a customer that the provider does not know says so, and claims nothing', async () => {
        expect(await payments.deleteCustomer('cus_unknown0000')).toBe('absent')
      })

      test('the customers of an account are found by their address, and no other account’s', async () => {
        const accountId = accountIdForTest()
        const email = `${accountId}@example.com`
        const { id } = await payments.createCustomer(accountId)
        const { id: other } = await newCustomer(subject)
        for (const each of [id, other]) await payments.updateCustomer(each, { email })
        expect(await payments.findCustomers(accountId, email)).toEqual([id])
        await payments.deleteCustomer(id)
        expect(await payments.findCustomers(accountId, email)).toEqual([])
      })

      test('a change affects only the fields that it names', async () => {
        const { id } = await newCustomer(subject)
        const address = {
          line1: '1 Main st.',
          line2: 'Flat 2',
          city: 'Köln',
          state: undefined,
          postalCode: '50667',
          country: 'DE',
        }
        await payments.updateCustomer(id, { email: 'ada@example.com', name: 'Ada Byron', address })
        await payments.updateCustomer(id, { name: 'Ada Lovelace' })
        expect(await payments.readCustomer(id)).toMatchObject({
          email: 'ada@example.com',
          name: 'Ada Lovelace',
          address,
        })
      })

      test('a new address replaces every field of the old one', async () => {
        const { id } = await newCustomer(subject)
        const blank = { line2: undefined, state: undefined, postalCode: undefined }
        const first = { ...blank, line1: '1 Main st.', line2: 'Flat 2', city: 'Bonn', country: 'DE' }
        const second = { ...blank, line1: '2 High st.', city: 'Leeds', country: 'GB' }
        await payments.updateCustomer(id, { address: first })
        const { address } = await payments.updateCustomer(id, { address: second })
        expect(address).toEqual(second)
      })

      test("the default card is the customer's own; another's is not found", async () => {
        const [mine, theirs] = [await newCustomer(subject), await newCustomer(subject)]
        const card = await attachedCard(subject, mine.id)
        const updated = await payments.updateCustomer(mine.id, { defaultPaymentMethodId: card.id })
        expect(updated.defaultPaymentMethodId).toBe(card.id)
        await expect(payments.updateCustomer(theirs.id, { defaultPaymentMethodId: card.id })).rejects.toEqual(
          domainError('not_found'),
        )
      })

      test('a deleted customer is told from an unknown one, and either has no cards and cannot be changed', async () => {
        const { id } = await newCustomer(subject)
        await stripe.customers.del(id)
        for (const gone of [id, 'cus_neverwas']) {
          expect(await payments.readCustomer(gone)).toBe(gone === id ? 'deleted' : undefined)
          expect(await payments.listCards(gone)).toEqual([])
          await expect(payments.updateCustomer(gone, { name: 'x' })).rejects.toEqual(domainError('not_found'))
        }
      })
    })

    describe('cards', () => {
      test('a card shows its printed details and its customer', async () => {
        const { id } = await newCustomer(subject)
        const card = await attachedCard(subject, id)
        expect(card).toMatchObject({
          customerId: id,
          brand: 'visa',
          last4: '4242',
          funding: 'credit',
          country: 'US',
          threeDSecureSupported: true,
          networks: { available: ['visa'] },
        })
        expect(card.expMonth).toBeGreaterThan(0)
        expect(await payments.readCard(card.id)).toEqual(card)
        expect(await payments.cardFingerprintOf(card.id)).toBe(card.fingerprint)
      })

      test.each([
        'pm_neverwas',
        'cus_neverwas',
        '',
        '..',
        'constructor',
        '__proto__',
        'pm_1/detach',
        'pm_1?a=b',
        '%',
        '\u0000',
        'é',
        'x'.repeat(300),
      ])(
        'a card called %j is unknown: nothing reads it, holds on it, attaches or detaches it',
        async (id) => {
          const customer = await newCustomer(subject)
          expect(await payments.readCard(id)).toBeUndefined()
          expect(await payments.cardFingerprintOf(id)).toBeUndefined()
          expect(await payments.attachCard(id, customer.id)).toEqual(unusable)
          await payments.detachCard(id)
          const hold = payments.createPayment({
            purpose: 'hold',
            amountCents: 100,
            currency: 'usd',
            customerId: customer.id,
            paymentMethodId: id,
            metadata: { account: 'a', purchase: 'p', stage: 'test' },
            description: 'A bundle',
            statementSuffix: 'BUNDLE',
            idempotencyKey: randomUUID(),
          })
          expect(await hold).toEqual(unusable)
        },
      )

      test("a customer's cards are listed newest first, and no other's", async () => {
        const [mine, theirs] = [await newCustomer(subject), await newCustomer(subject)]
        const first = await attachedCard(subject, mine.id)
        await attachedCard(subject, theirs.id)
        const second = await attachedCard(subject, mine.id, 'pm_card_mastercard')
        const listed = await payments.listCards(mine.id)
        expect(listed.map((card) => card.id)).toEqual([second.id, first.id])
      })

      test('attaching again succeeds for the same customer and is refused for another', async () => {
        const [mine, theirs] = [await newCustomer(subject), await newCustomer(subject)]
        const card = await attachedCard(subject, mine.id)
        expect(await payments.attachCard(card.id, mine.id)).toMatchObject({ status: 'attached' })
        expect(await payments.attachCard(card.id, theirs.id)).toEqual(unusable)
        expect((await payments.readCard(card.id))?.customerId).toBe(mine.id)
      })

      test('attaching an unknown card, or to an unknown customer, is refused', async () => {
        const { id } = await newCustomer(subject)
        expect(await payments.attachCard('pm_neverwas', id)).toEqual(unusable)
        expect(await payments.attachCard(await newCard(subject), 'cus_neverwas')).toEqual({
          status: 'refused',
          reason: 'customer_missing',
        })
      })

      test('detaching is permanent and may be repeated; an unknown card is not an error', async () => {
        const { id } = await newCustomer(subject)
        const card = await attachedCard(subject, id)
        await payments.detachCard(card.id)
        await payments.detachCard(card.id)
        await payments.detachCard('pm_neverwas')
        expect((await payments.readCard(card.id))?.customerId).toBeUndefined()
        expect(await payments.listCards(id)).toEqual([])
        expect(await payments.attachCard(card.id, id)).toEqual(unusable)
      })

      test.each([
        ['pm_card_visa_chargeDeclined', 'declined', 'retryable'],
        ['pm_card_visa_chargeDeclinedInsufficientFunds', 'insufficient_funds', 'retryable'],
        ['pm_card_visa_chargeDeclinedLostCard', 'lost_or_stolen', 'never'],
        ['pm_card_visa_chargeDeclinedStolenCard', 'lost_or_stolen', 'never'],
        ['pm_card_chargeDeclinedExpiredCard', 'card_expired', 'never'],
        ['pm_card_chargeDeclinedIncorrectCvc', 'wrong_details', 'never'],
        ['pm_card_chargeDeclinedProcessingError', 'processing_error', 'retryable'],
        ['pm_card_visa_chargeDeclinedVelocityLimitExceeded', 'limit_exceeded', 'retryable'],
      ] as const)('%s cannot be attached, nor held: %s, %s', async (name, reason, retry) => {
        const { id } = await newCustomer(subject)
        const decline = { reason, retry }
        expect(await payments.attachCard(await newCard(subject, name), id)).toEqual({
          status: 'declined',
          decline,
        })
        const hold = await newPayment(subject, 'hold', id, await newCard(subject, name))
        expect(await payments.confirmPayment(hold.id, 'hold')).toMatchObject({ status: 'declined', decline })
        expect(await payments.listCards(id)).toEqual([])
      })
    })

    describe('holds', () => {
      test('a hold is created unconfirmed, then held with the card attached, then released; nothing is taken', async () => {
        const { id } = await newCustomer(subject)
        const cardId = await newCard(subject)
        const hold = await newPayment(subject, 'hold', id, cardId)
        expect(hold).toMatchObject({ status: 'unconfirmed', amountCents: 100, currency: 'usd' })
        expect(hold.latestChargeId).toBeUndefined()

        const held = known(await payments.confirmPayment(hold.id, 'hold'))
        expect(held).toMatchObject({ status: 'held', receivedCents: 0, paymentMethodId: cardId })
        expect((await payments.readCard(cardId))?.customerId).toBe(id)

        const released = await payments.cancelPayment(hold.id)
        expect(released).toMatchObject({ status: 'canceled', receivedCents: 0 })
        expect(await payments.cancelPayment(hold.id)).toEqual(released)
        const charge = await payments.readCharge(held.latestChargeId ?? '')
        expect(charge).toMatchObject({ captured: false, paymentId: hold.id })
      })

      test('a declined hold stays open, names the card, and leaves no money held', async () => {
        const { id } = await newCustomer(subject)
        const cardId = await newCard(subject, 'pm_card_chargeCustomerFail')
        await payments.attachCard(cardId, id)
        const hold = await newPayment(subject, 'hold', id, cardId)
        const declined = known(await payments.confirmPayment(hold.id, 'hold'))
        expect(declined).toMatchObject({ status: 'declined', paymentMethodId: cardId, receivedCents: 0 })
        expect(await payments.readPayment(hold.id)).toEqual(declined)
        expect(await payments.cancelPayment(hold.id)).toMatchObject({ status: 'canceled' })
      })

      test('a card that requires 3-D Secure waits for the customer and returns a secret', async () => {
        const { id } = await newCustomer(subject)
        const cardId = await newCard(subject, 'pm_card_authenticationRequired')
        const hold = await newPayment(subject, 'hold', id, cardId)
        const waiting = known(await payments.confirmPayment(hold.id, 'hold'))
        expect(waiting).toMatchObject({
          status: 'action_required',
          clientSecret: expect.stringContaining(`${hold.id}_secret_`),
        })
        expect(waiting.latestChargeId).toBeUndefined()
        expect((await payments.readCard(cardId))?.customerId).toBeUndefined()
      })

      test('a blocked card is declined permanently', async () => {
        const { id } = await newCustomer(subject)
        const hold = await newPayment(subject, 'hold', id, await newCard(subject, 'pm_card_radarBlock'))
        expect(await payments.confirmPayment(hold.id, 'hold')).toMatchObject({
          status: 'declined',
          decline: { reason: 'blocked', retry: 'never' },
        })
      })
    })

    describe('purchases and renewals', () => {
      test.each(['purchase', 'renewal'] as const)('a %s takes the whole amount, once', async (purpose) => {
        const { id } = await newCustomer(subject)
        const card = await attachedCard(subject, id)
        const metadata = { account: 'acc', purchase: randomUUID(), stage: 'test' }
        const { id: paymentId } = await newPayment(subject, purpose, id, card.id, { metadata })
        const payment = known(await payments.confirmPayment(paymentId, purpose))
        expect(payment).toMatchObject({
          status: 'succeeded',
          amountCents: 999,
          currency: 'usd',
          receivedCents: 999,
          customerId: id,
          paymentMethodId: card.id,
          livemode: false,
          metadata,
        })
        expect(payment.receipt).toEqual({
          chargedAtMs: expect.any(Number),
          brand: 'visa',
          last4: '4242',
          url: expect.stringMatching(/^https:/),
        })
        expect(await payments.confirmPayment(paymentId, purpose)).toEqual({ ...payment, receipt: undefined })
        expect(await payments.readPayment(paymentId)).toEqual(payment)
        const charges = await stripe.charges.list({ payment_intent: paymentId })
        expect(charges.data.map((charge) => charge.id)).toEqual([payment.latestChargeId])
      })

      test('a decline of an attached card gives the reason, and gives it again when repeated', async () => {
        const { id } = await newCustomer(subject)
        const card = await attachedCard(subject, id, 'pm_card_chargeCustomerFail')
        const { id: paymentId } = await newPayment(subject, 'renewal', id, card.id)
        const declined = await payments.confirmPayment(paymentId, 'renewal')
        expect(declined).toMatchObject({
          status: 'declined',
          decline: { reason: 'declined', retry: 'retryable' },
        })
        expect(await payments.confirmPayment(paymentId, 'renewal')).toEqual(declined)
        const charges = await stripe.charges.list({ payment_intent: paymentId })
        expect(charges.data.map((charge) => charge.status)).toEqual(['failed'])
      })

      test('a renewal with a card that requires 3-D Secure is declined', async () => {
        const { id } = await newCustomer(subject)
        const card = await attachedCard(subject, id, 'pm_card_authenticationRequired')
        const { id: paymentId } = await newPayment(subject, 'renewal', id, card.id)
        expect(await payments.confirmPayment(paymentId, 'renewal')).toMatchObject({
          status: 'declined',
          decline: { reason: 'authentication_required', retry: 'never' },
        })
      })

      test('the customer can authenticate later: the payment waits again, with its card', async () => {
        const { id } = await newCustomer(subject)
        const card = await attachedCard(subject, id, 'pm_card_authenticationRequired')
        const { id: paymentId } = await newPayment(subject, 'renewal', id, card.id)
        await payments.confirmPayment(paymentId, 'renewal')
        expect(await payments.confirmPayment(paymentId, 'purchase', card.id)).toMatchObject({
          status: 'action_required',
          clientSecret: expect.stringMatching(new RegExp(`^${paymentId}_secret_`)),
        })
      })

      test('a sign-up attaches its card, which can then be charged off-session', async () => {
        const { id } = await newCustomer(subject)
        const card = await newCard(subject)
        const { id: paymentId, paymentMethodId = '' } = await newPayment(subject, 'signup', id, card)
        expect((await payments.readCard(paymentMethodId))?.customerId).toBeUndefined()
        expect(await payments.confirmPayment(paymentId, 'signup')).toMatchObject({ status: 'succeeded' })
        expect((await payments.readCard(paymentMethodId))?.customerId).toBe(id)
        const renewal = await newPayment(subject, 'renewal', id, paymentMethodId)
        expect(await payments.confirmPayment(renewal.id, 'renewal')).toMatchObject({ status: 'succeeded' })
      })

      test('a payment that was declined and then canceled still has the reason', async () => {
        const { id } = await newCustomer(subject)
        const card = await attachedCard(subject, id, 'pm_card_chargeCustomerFail')
        const { id: paymentId } = await newPayment(subject, 'renewal', id, card.id)
        await payments.confirmPayment(paymentId, 'renewal')
        const canceled = {
          status: 'canceled',
          decline: { reason: 'declined', retry: 'retryable' },
          receivedCents: 0,
        }
        expect(await payments.cancelPayment(paymentId)).toMatchObject(canceled)
        expect(await payments.readPayment(paymentId)).toMatchObject(canceled)
      })

      test('a card that was set up for off-session payments is charged off-session', async () => {
        const { id } = await newCustomer(subject)
        const card = await attachedCard(subject, id, 'pm_card_authenticationRequiredSetupForOffSession')
        const { id: paymentId } = await newPayment(subject, 'renewal', id, card.id)
        expect(await payments.confirmPayment(paymentId, 'renewal')).toMatchObject({ status: 'succeeded' })
      })

      test('a canceled payment takes nothing: a later confirmation finds it canceled', async () => {
        const { id } = await newCustomer(subject)
        const card = await attachedCard(subject, id)
        const { id: paymentId } = await newPayment(subject, 'purchase', id, card.id)
        await payments.cancelPayment(paymentId)
        expect(await payments.confirmPayment(paymentId, 'purchase')).toMatchObject({
          status: 'canceled',
          receivedCents: 0,
        })
      })

      test('a succeeded payment cannot be canceled: canceling returns the payment', async () => {
        const { id } = await newCustomer(subject)
        const payment = await paid(subject, id)
        const { latestChargeId, ...rest } = payment
        expect(await payments.cancelPayment(payment.id)).toMatchObject({ ...rest, latestChargeId })
      })

      test('the same key gives the same payment; with another amount it is an error', async () => {
        const { id } = await newCustomer(subject)
        const card = await attachedCard(subject, id)
        const payment: NewPayment = {
          purpose: 'purchase',
          amountCents: 999,
          currency: 'usd',
          customerId: id,
          paymentMethodId: card.id,
          metadata: { account: 'a', purchase: 'p', stage: 'test' },
          description: 'A bundle',
          statementSuffix: 'BUNDLE',
          idempotencyKey: randomUUID(),
        }
        const first = created(await payments.createPayment(payment))
        expect(created(await payments.createPayment(payment)).id).toBe(first.id)
        await expect(payments.createPayment({ ...payment, amountCents: 1999 })).rejects.toEqual(
          domainError('temporarily_unavailable'),
        )
      })

      test('a ConfirmationToken pays once, and its card is then the customer’s', async () => {
        const { id } = await newCustomer(subject)
        const token = await newToken(subject)
        expect(await payments.cardFingerprintOf(token)).toMatch(/^\w+$/)
        expect(await payments.cardFingerprintOf('ctoken_neverwas')).toBeUndefined()
        const same = {
          metadata: { account: 'a', purchase: 'p', stage: 'test' },
          idempotencyKey: randomUUID(),
        }
        const first = await newPayment(subject, 'signup', id, token, same)
        expect(first).toMatchObject({ status: 'unconfirmed', paymentMethodId: undefined })
        const now = known(await payments.confirmPayment(first.id, 'signup', token))
        expect(now).toMatchObject({ status: 'succeeded', paymentMethodId: expect.stringMatching(/^pm_/) })
        expect((await payments.readCard(now.paymentMethodId ?? ''))?.customerId).toBe(id)
        expect(known(await payments.confirmPayment(first.id, 'signup', token))).toMatchObject({
          id: first.id,
          status: 'succeeded',
        })
        // A request that is late with the creation must not take its own payment's token for another's.
        expect((await newPayment(subject, 'signup', id, token, same)).id).toBe(first.id)
      })

      test('a ConfirmationToken that is used or unknown is refused, before a payment and at its confirmation', async () => {
        const { id } = await newCustomer(subject)
        const token = await newToken(subject)
        const [first, second] = [
          await newPayment(subject, 'hold', id, token),
          await newPayment(subject, 'hold', id, token),
        ]
        expect(known(await payments.confirmPayment(first.id, 'hold', token))).toMatchObject({
          status: 'held',
        })
        await payments.cancelPayment(first.id)
        const useless = { status: 'declined', decline: { reason: 'card_unusable', retry: 'never' } }
        expect(await payments.confirmPayment(second.id, 'hold', token)).toMatchObject(useless)
        expect(await payments.confirmPayment(second.id, 'hold', 'ctoken_neverwas')).toMatchObject(useless)
        await payments.cancelPayment(second.id)
        for (const each of [token, 'ctoken_neverwas']) {
          await expect(newPayment(subject, 'hold', id, each)).rejects.toThrow('refused: card_unusable')
        }
      })

      test("another customer's card, a detached one and an unknown one are refused, with no money taken", async () => {
        const [mine, theirs] = [await newCustomer(subject), await newCustomer(subject)]
        const foreign = await attachedCard(subject, theirs.id)
        const detached = await attachedCard(subject, mine.id)
        await payments.detachCard(detached.id)
        for (const cardId of [foreign.id, detached.id, 'pm_neverwas']) {
          const result = await payments.createPayment({
            purpose: 'purchase',
            amountCents: 999,
            currency: 'usd',
            customerId: mine.id,
            paymentMethodId: cardId,
            metadata: { account: 'a', purchase: 'p', stage: 'test' },
            description: 'A bundle',
            statementSuffix: 'BUNDLE',
            idempotencyKey: randomUUID(),
          })
          if (result.status === 'refused') {
            expect(result.reason).toBe('card_unusable')
            continue
          }
          expect(await payments.confirmPayment(result.id, 'purchase')).toMatchObject({
            status: 'declined',
            decline: { reason: 'card_unusable', retry: 'never' },
          })
        }
      })

      test('a payment of a deleted customer is refused', async () => {
        const { id } = await newCustomer(subject)
        const cardId = await newCard(subject)
        await stripe.customers.del(id)
        const result = await payments.createPayment({
          purpose: 'purchase',
          amountCents: 999,
          currency: 'usd',
          customerId: id,
          paymentMethodId: cardId,
          metadata: { account: 'a', purchase: 'p', stage: 'test' },
          description: 'A bundle',
          statementSuffix: 'BUNDLE',
          idempotencyKey: randomUUID(),
        })
        expect(result).toEqual({ status: 'refused', reason: 'customer_missing' })
      })

      test('an unknown payment is undefined; confirming or canceling it is not_found', async () => {
        expect(await payments.readPayment('pi_neverwas')).toBeUndefined()
        await expect(payments.confirmPayment('pi_neverwas', 'purchase')).rejects.toEqual(
          domainError('not_found'),
        )
        await expect(payments.cancelPayment('pi_neverwas')).rejects.toEqual(domainError('not_found'))
      })

      test("a customer's payments are listed newest first, and no other's", async () => {
        const { id } = await newCustomer(subject)
        const card = await attachedCard(subject, id)
        const first = await newPayment(subject, 'purchase', id, card.id)
        const second = await newPayment(subject, 'purchase', id, card.id)
        const page = await payments.listPayments({ customerId: id })
        expect(page.items.map((payment) => payment.id)).toEqual([second.id, first.id])
        expect(page.nextCursor).toBeUndefined()
        expect(await payments.listPayments({ customerId: 'cus_neverwas' })).toEqual({
          items: [],
          nextCursor: undefined,
        })
      })

      test('payments are listed since a time', async () => {
        const { id } = await newCustomer(subject)
        const payment = await newPayment(subject, 'purchase', id, await newCard(subject))
        const since = (createdSinceMs: number) => payments.listPayments({ customerId: id, createdSinceMs })
        expect((await since(payment.createdMs)).items.map((each) => each.id)).toEqual([payment.id])
        expect((await since(payment.createdMs + 1000)).items).toEqual([])
      })
    })

    describe('refunds, disputes and fraud warnings', () => {
      test('a charge shows its card, its receipt and that it was captured', async () => {
        const { id } = await newCustomer(subject)
        const payment = await paid(subject, id)
        expect(await payments.readCharge(payment.latestChargeId)).toMatchObject({
          paymentId: payment.id,
          customerId: id,
          status: 'succeeded',
          captured: true,
          amountCents: 999,
          currency: 'usd',
          refundedCents: 0,
          refunds: [],
          disputed: false,
          disputes: [],
          card: { brand: 'visa', last4: '4242' },
          receiptUrl: expect.stringMatching(/^https:/),
          livemode: false,
        })
        expect(await payments.readCharge('ch_neverwas')).toBeUndefined()
      })

      test('partial refunds add up', async () => {
        const { id } = await newCustomer(subject)
        const { id: paymentId, latestChargeId } = await paid(subject, id)
        const first = await stripe.refunds.create({ payment_intent: paymentId, amount: 300 })
        const second = await stripe.refunds.create({ payment_intent: paymentId })
        const charge = await payments.readCharge(latestChargeId)
        expect(charge).toMatchObject({
          refundedCents: 999,
          refunds: [
            { id: second.id, amountCents: 699, status: 'succeeded' },
            { id: first.id, amountCents: 300, status: 'succeeded' },
          ],
        })
      })

      test('a refund names its payment', async () => {
        const { id } = await newCustomer(subject)
        const { id: paymentId } = await paid(subject, id)
        const refund = await stripe.refunds.create({ payment_intent: paymentId, amount: 300 })
        expect(await payments.readRefund(refund.id)).toEqual({ paymentId })
        expect(await payments.readRefund('re_neverwas')).toBeUndefined()
      })

      test('a pending refund counts as refunded', async () => {
        const { id } = await newCustomer(subject)
        const { latestChargeId } = await paid(subject, id, 'pm_card_pendingRefund')
        await stripe.refunds.create({ charge: latestChargeId })
        expect(await payments.readCharge(latestChargeId)).toMatchObject({
          refundedCents: 999,
          refunds: [{ status: 'pending' }],
        })
      })

      test('a disputed charge shows its dispute, which is open until it is accepted, then lost', async () => {
        const { id } = await newCustomer(subject)
        const { id: paymentId, latestChargeId } = await paid(subject, id, 'pm_card_createDispute')
        const disputed = await vi.waitFor(
          async () => {
            const charge = await payments.readCharge(latestChargeId)
            expect(charge?.disputes).toHaveLength(1)
            return charge
          },
          { timeout: 15_000, interval: 500 },
        )
        const dispute = disputed?.disputes[0]
        expect(dispute).toMatchObject({
          chargeId: latestChargeId,
          paymentId,
          amountCents: 999,
          currency: 'usd',
          status: 'open',
          reason: 'fraudulent',
        })
        expect(await payments.readDispute(dispute?.id ?? '')).toEqual(dispute)
        await stripe.disputes.close(dispute?.id ?? '')
        expect(await payments.readDispute(dispute?.id ?? '')).toMatchObject({ status: 'lost' })
        expect(await payments.readDispute('du_neverwas')).toBeUndefined()
      })

      test('an inquiry has not taken any money', async () => {
        const { id } = await newCustomer(subject)
        const { latestChargeId } = await paid(subject, id, 'pm_card_createDisputeInquiry')
        await vi.waitFor(
          async () => {
            const charge = await payments.readCharge(latestChargeId)
            expect(charge?.disputes).toMatchObject([{ status: 'inquiry' }])
          },
          { timeout: 15_000, interval: 500 },
        )
      })

      test('a fraud warning names its charge', async () => {
        const { id } = await newCustomer(subject)
        const { latestChargeId } = await paid(subject, id, 'pm_card_createIssuerFraudRecord')
        const [warning] = await vi.waitFor(
          async () => {
            const { data } = await stripe.radar.earlyFraudWarnings.list({ charge: latestChargeId })
            expect(data).toHaveLength(1)
            return data
          },
          { timeout: 15_000, interval: 500 },
        )
        expect(await payments.readFraudWarning(warning?.id ?? '')).toMatchObject({
          chargeId: latestChargeId,
          actionable: true,
        })
        expect(await payments.readFraudWarning('issfr_neverwas')).toBeUndefined()
      })
    })
  })
}
