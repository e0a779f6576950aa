/**
 * What moved money or units. Amounts are cents: a payment is +, the sale it pays for −, so that amounts sum to the
 * balance; units sum to those left and those used.
 */
export const ledgerKinds = [
  'trial',
  'payment',
  'sale',
  /** Money went back, or was taken back by a bank. */
  'refund',
  'dispute',
  /** It did not after all. */
  'refund_failed',
  'dispute_won',
  /** Units taken back for money that went back, and given again. */
  'return',
  'restore',
] as const
