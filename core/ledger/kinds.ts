/**
 * What moved money or units. Amounts are in the currency's minor unit: a payment is positive and its sale is negative, so that
 * all amounts sum to the balance. All units sum to the units left plus the units used.
 */
export const ledgerKinds = [
  'trial',
  'payment',
  'sale',
  /** We refunded money, or a bank took money back. */
  'refund',
  'dispute',
  /** The refund failed, or we won the dispute: the money is ours again. */
  'refund_failed',
  'dispute_won',
  /** Units are taken back for a refund or dispute, or restored when we get the money again. */
  'return',
  'restore',
  /** Units that an imported account had left in the system before. */
  'import',
  /** Units that an operator gave, or that a plan gives each month. */
  'grant',
  /** Units that an operator took back. What could not be taken follows with the next credit. */
  'take',
  /** An operator put money on the account's balance, or took such money off it. */
  'credit',
  'debit',
  /** Units that have expired. */
  'expiry',
] as const
