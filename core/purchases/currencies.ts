/** What Stripe says about a currency. Amounts are in the minor unit in which Stripe counts the currency. */
export interface CurrencyRules {
  /** Decimals of an amount: 2 for USD, 0 for JPY, 3 for KWD. One minor unit is 10 to the power of -decimals. */
  decimals: number
  /** The smallest amount that Stripe charges. */
  minimum: number
  /** Every amount that is charged must be a multiple of this. */
  step: number
}

/** Eight digits: the largest amount that Stripe charges in every currency. */
export const MAX_CHARGE = 99_999_999

/**
 * Decimals, minimum and, where it is not 1, step, from https://docs.stripe.com/currencies. Stripe names no
 * minimum for the currencies after the first group: it converts such a charge, and refuses it if it is worth
 * less than the minimum of the currency in which Stripe pays out. Their minimum here is about 0.60 US dollars.
 */
const RULES: Readonly<Record<string, readonly [decimals: number, minimum: number, step?: number]>> = {
  AED: [2, 200],
  AUD: [2, 50],
  BGN: [2, 100],
  BRL: [2, 50],
  CAD: [2, 50],
  CHF: [2, 50],
  CZK: [2, 1_500],
  DKK: [2, 250],
  EUR: [2, 50],
  GBP: [2, 30],
  HKD: [2, 400],
  HUF: [2, 17_500],
  INR: [2, 50],
  JPY: [0, 50],
  MXN: [2, 1_000],
  MYR: [2, 200],
  NOK: [2, 300],
  NZD: [2, 50],
  PLN: [2, 200],
  RON: [2, 200],
  SEK: [2, 300],
  SGD: [2, 50],
  THB: [2, 1_000],
  USD: [2, 50],

  ARS: [2, 80_000],
  CNY: [2, 500],
  COP: [2, 250_000],
  EGP: [2, 3_000],
  IDR: [2, 1_000_000],
  ILS: [2, 200],
  KES: [2, 8_000],
  MAD: [2, 600],
  NGN: [2, 100_000],
  PEN: [2, 200],
  PHP: [2, 3_500],
  PKR: [2, 17_500],
  QAR: [2, 200],
  SAR: [2, 200],
  TRY: [2, 2_500],
  TWD: [2, 2_000],
  UAH: [2, 2_500],
  UYU: [2, 2_500],
  ZAR: [2, 1_000],

  // Stripe counts these in hundredths, though they have none.
  ISK: [2, 7_500, 100],
  UGX: [2, 220_000, 100],

  BIF: [0, 2_000],
  CLP: [0, 600],
  DJF: [0, 110],
  GNF: [0, 5_500],
  KMF: [0, 270],
  KRW: [0, 900],
  MGA: [0, 2_800],
  PYG: [0, 4_500],
  RWF: [0, 900],
  VND: [0, 16_000],
  VUV: [0, 75],
  XAF: [0, 350],
  XOF: [0, 350],
  XPF: [0, 65],

  // The last of three decimals must be 0.
  BHD: [3, 200, 10],
  JOD: [3, 400, 10],
  KWD: [3, 200, 10],
  OMR: [3, 220, 10],
  TND: [3, 1_800, 10],
}

export const currencyCodes = Object.keys(RULES)

/** The rules of a currency. @param code ISO 4217. @throws Error for a currency that is not in the table */
export function currencyRules(code: string): CurrencyRules {
  const rules = Object.hasOwn(RULES, code) ? RULES[code] : undefined
  if (!rules) throw new Error(`the currency ${code} is not in core/purchases/currencies.ts`)
  const [decimals, minimum, step = 1] = rules
  return { decimals, minimum, step }
}

/**
 * What a card verification holds, in the currency's minor unit: one US dollar, or one of another currency,
 * but at least twice the smallest amount that Stripe charges.
 */
export function holdAmount(code: string): number {
  const { decimals, minimum } = currencyRules(code)
  return Math.max(10 ** decimals, 2 * minimum)
}
