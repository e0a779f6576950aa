/** The stage whose customers pay with real money. */
export const PRODUCTION = 'production'

/** Stripe's two worlds. Each of its keys belongs to one. */
export type StripeMode = 'test' | 'live'

export const modeOf = (stage: string): StripeMode => (stage === PRODUCTION ? 'live' : 'test')

/** What Stripe gives out, by how it begins. */
const KINDS = {
  sk: 'a secret key',
  rk: 'a restricted key',
  pk: 'a publishable key',
  whsec: 'the signing secret of a webhook endpoint',
} as const

type Kind = keyof typeof KINDS

/** The settings that hold something of Stripe's, and what each takes. */
const TAKES = {
  STRIPE_SECRET_KEY: ['sk', 'rk'],
  STRIPE_PUBLISHABLE_KEY: ['pk'],
  STRIPE_WEBHOOK_SECRETS: ['whsec'],
} as const satisfies Record<string, readonly Kind[]>

export type StripeSetting = keyof typeof TAKES

/** Secrets rotate: for a while Stripe signs with the old one and the new one. */
const MOST_WEBHOOK_SECRETS = 2

/** What is wrong with a value, as the end of a sentence, and what to set in its place. Neither quotes the value. */
export interface StripeMistake {
  is: string
  wanted: string
}

/**
 * Looks at a value before anything is done with it: a publishable key in the place of the secret one pays nothing, a
 * secret key in the place of the publishable one would be shown to everybody, and with a key of the other mode cards are
 * charged, or are not, against all intentions.
 */
export function stripeMistake(
  name: StripeSetting,
  value: string,
  mode: StripeMode,
): StripeMistake | undefined {
  const isList = name === 'STRIPE_WEBHOOK_SECRETS'
  const texts = isList ? value.split(',') : [value]
  if (texts.length > MOST_WEBHOOK_SECRETS)
    return { is: `a list of ${texts.length}`, wanted: wantedFor(name, mode) }
  const is = texts.map((text) => mistakeIn(text, TAKES[name], mode)).find((found) => found !== undefined)
  return is === undefined ? undefined : { is, wanted: wantedFor(name, mode) }
}

function mistakeIn(text: string, takes: readonly Kind[], mode: StripeMode): string | undefined {
  const [, key, keyMode, secret] = /^(?:([srp]k)_(test|live)|(whsec))_\w+$/.exec(text) ?? []
  const kind = (key ?? secret) as Kind | undefined
  if (kind === undefined) return 'nothing that Stripe gives out'
  if (!takes.includes(kind)) return KINDS[kind]
  return keyMode === undefined || keyMode === mode ? undefined : `a key of the ${keyMode} mode`
}

const wantedFor = (name: StripeSetting, mode: StripeMode): string =>
  name === 'STRIPE_WEBHOOK_SECRETS'
    ? 'whsec_…, or two of them with a comma between while they rotate'
    : TAKES[name].map((kind) => `${kind}_${mode}_…`).join(' or ')
