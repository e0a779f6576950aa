/**
 * Stripe's test cards from docs.stripe.com/testing: the behaviour of each card by its number, and the
 * `pm_card_*` and `tok_*` names that stand for a new payment method with the card.
 */

export interface TestCard {
  brand: 'visa' | 'mastercard' | 'amex' | 'discover'
  funding?: 'credit' | 'debit'
  /** The bank declines the card, either always or only when it is charged. */
  declines?: { code: DeclineCode; when: 'always' | 'charge' }
  /** On-session payments need 3-D Secure. The value says when off-session payments need 3-D Secure too. */
  authentication?: 'always' | 'unless_set_up' | 'already_set_up'
  /** Radar blocks the payment before the bank is asked. */
  blocked?: true
  /** The kind of dispute that follows a successful charge. */
  dispute?: 'chargeback' | 'inquiry'
  fraudWarning?: true
  refunds?: 'pending' | 'failing'
}

/** Decline codes. If Stripe uses a code as the error's own code as well, the error has no decline code. */
export type DeclineCode = keyof typeof DECLINES

export const DECLINES = {
  generic_decline: {
    code: 'card_declined',
    message: 'Your card was declined.',
    advice: 'try_again_later',
  },
  insufficient_funds: {
    code: 'card_declined',
    message: 'Your card has insufficient funds.',
    advice: 'try_again_later',
  },
  lost_card: { code: 'card_declined', message: 'Your card was declined.', advice: 'do_not_try_again' },
  stolen_card: { code: 'card_declined', message: 'Your card was declined.', advice: 'do_not_try_again' },
  fraudulent: { code: 'card_declined', message: 'Your card was declined.', advice: 'do_not_try_again' },
  do_not_honor: { code: 'card_declined', message: 'Your card was declined.', advice: 'try_again_later' },
  card_velocity_exceeded: {
    code: 'card_declined',
    message:
      'Your card was declined for making repeated attempts too frequently or exceeding its amount limit.',
    advice: 'try_again_later',
  },
  authentication_required: {
    code: 'authentication_required',
    message: 'Your card was declined. This transaction requires authentication.',
    advice: undefined,
  },
  expired_card: { code: 'expired_card', message: 'Your card has expired.', advice: 'do_not_try_again' },
  incorrect_cvc: {
    code: 'incorrect_cvc',
    message: "Your card's security code is incorrect.",
    advice: 'confirm_card_data',
  },
  processing_error: {
    code: 'processing_error',
    message: 'An error occurred while processing your card. Try again in a little bit.',
    advice: 'try_again_later',
  },
} as const

const visa = (rest: Omit<TestCard, 'brand'> = {}): TestCard => ({ brand: 'visa', ...rest })
const declining = (code: DeclineCode) => visa({ declines: { code, when: 'always' } })

export const CARDS: Readonly<Record<string, TestCard>> = {
  '4242424242424242': visa(),
  '4000056655665556': visa({ funding: 'debit' }),
  '5555555555554444': { brand: 'mastercard' },
  '378282246310005': { brand: 'amex' },
  '6011111111111117': { brand: 'discover' },
  '4000000000000002': declining('generic_decline'),
  '4000000000009995': declining('insufficient_funds'),
  '4000000000009987': declining('lost_card'),
  '4000000000009979': declining('stolen_card'),
  '4000000000000069': declining('expired_card'),
  '4000000000000127': declining('incorrect_cvc'),
  '4000000000000119': declining('processing_error'),
  '4000000000006975': declining('card_velocity_exceeded'),
  '4000000000000341': visa({ declines: { code: 'generic_decline', when: 'charge' } }),
  '4000002500003155': visa({ authentication: 'unless_set_up' }),
  '4000002760003184': visa({ authentication: 'always' }),
  '4000003800000446': visa({ authentication: 'already_set_up' }),
  '4000008260003178': visa({
    authentication: 'unless_set_up',
    declines: { code: 'insufficient_funds', when: 'charge' },
  }),
  '4000008400001629': visa({
    authentication: 'always',
    declines: { code: 'generic_decline', when: 'charge' },
  }),
  '4100000000000019': visa({ blocked: true }),
  '4000000000000259': visa({ dispute: 'chargeback' }),
  '4000000000001976': visa({ dispute: 'inquiry' }),
  '4000000000005423': visa({ fraudWarning: true }),
  '4000000000007726': visa({ refunds: 'pending' }),
  '4000000000005126': visa({ refunds: 'failing' }),
}

/** Card numbers by the part of the name after `pm_card_` or `tok_`. */
const NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    visa: '4242424242424242',
    us: '4242424242424242',
    visa_debit: '4000056655665556',
    mastercard: '5555555555554444',
    amex: '378282246310005',
    discover: '6011111111111117',
    chargeDeclined: '4000000000000002',
    chargeDeclinedInsufficientFunds: '4000000000009995',
    chargeDeclinedLostCard: '4000000000009987',
    chargeDeclinedStolenCard: '4000000000009979',
    chargeDeclinedExpiredCard: '4000000000000069',
    chargeDeclinedIncorrectCvc: '4000000000000127',
    chargeDeclinedProcessingError: '4000000000000119',
    chargeDeclinedVelocityLimitExceeded: '4000000000006975',
    chargeCustomerFail: '4000000000000341',
    authenticationRequiredOnSetup: '4000002500003155',
    authenticationRequired: '4000002760003184',
    authenticationRequiredSetupForOffSession: '4000003800000446',
    authenticationRequiredChargeDeclinedInsufficientFunds: '4000008260003178',
    threeDSecureRequiredChargeDeclined: '4000008400001629',
    radarBlock: '4100000000000019',
    createDispute: '4000000000000259',
    createDisputeInquiry: '4000000000001976',
    createIssuerFraudRecord: '4000000000005423',
    pendingRefund: '4000000000007726',
    refundFail: '4000000000005126',
  }),
)

/** The card number behind a name such as `pm_card_visa` or `tok_visa_chargeDeclined`. */
export function numberNamed(name: string): string | undefined {
  const [, kind] = /^(?:pm_card|tok)_(\w+)$/.exec(name) ?? []
  // The names of declining cards exist with and without the brand.
  const names = [kind, kind?.replace(/^visa_/, '')]
  return NAMES.get(names.find((each) => each !== undefined && NAMES.has(each)) ?? '')
}

/** Whether the last digit of a card number is its Luhn check digit. */
export function isCardNumber(number: string): boolean {
  const digits = [...number].reverse().map(Number)
  const sum = digits.reduce((total, digit, n) => {
    const doubled = n % 2 === 1 ? digit * 2 : digit
    return total + (doubled > 9 ? doubled - 9 : doubled)
  }, 0)
  return /^\d{12,19}$/.test(number) && sum % 10 === 0
}
