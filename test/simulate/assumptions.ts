/** How customers live. Shares are of the accounts at the beginning of the month, rates are per month. */
export const assumptions = {
  /** Units that an account uses on average, also counting those that use nothing. */
  unitsPerAccount: 300,
  /** Accounts that use any. */
  active: 0.2,
  /** The exponent of Zipf's law. */
  zipf: 1,
  /** Units that come in batches of 20, as from `bursar/meter` in front of a busy service. */
  batched: 0.3,
  /** Accounts whose owners sign in, how often, and what they look at each time. */
  signIn: 0.12,
  signInsEach: 3,
  pagesPerSignIn: 6,
  resets: 0.01,
  /** New accounts; of these, who confirms the address. */
  newAccounts: 0.05,
  confirmed: 0.8,
  /** Payments that are given back, and that are disputed. */
  refunded: 0.01,
  disputed: 0.002,
  /** Consumes whose ids are sent a second time. */
  repeated: 0.01,
  viral: {
    /** The day of the month, from 0. */
    day: 16,
    /** Accounts that register on that day; they come within the day as use does, but closer together. */
    newAccounts: 0.25,
    /** What all use is multiplied by, and that of the customer of rank 1, whose service the world talks about. */
    use: 2,
    favourite: 10,
  },
}

export type Assumptions = typeof assumptions

/** How long calls take, ms. Functions wait for one after another. */
export const latency = {
  GetItem: 4,
  Query: 5,
  BatchGetItem: 5,
  PutItem: 6,
  UpdateItem: 6,
  DeleteItem: 6,
  TransactWriteItems: 14,
  cognito: 150,
  mail: 60,
  kms: 10,
  lambda: 20,
  events: 20,
  stripe: 400,
  /** The function's own work. */
  own: 4,
} as const

/** A function's memory, GB. All that customers call have this much. */
export const MEMORY_GB = 1

/** Bytes of log lines of a request, at the gateway and of its function. 780 GB a thousand million: $0.39 a million in us-east-1. */
export const LOG_BYTES = 780

/** How long logs are kept in production, months. */
export const LOGS_KEPT_MONTHS = 3

/**
 * Bytes that stay in the table: of an account, of its first payment with customer, card, ledger entry, invoice, notice and
 * events, of a renewal, and of a day of use; and of a consume's id, which stays for four days, on the month's average.
 */
export const KEPT_BYTES = { account: 3_500, firstPayment: 9_400, renewal: 3_900, dayOfUse: 450, consume: 3 }
