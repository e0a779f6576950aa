import { mailAddress, readSender, senderHeader, UNPRINTABLE } from '../../core/notifications/sender.ts'
import { HOST, NOWHERE } from './hosts.ts'
import { pageSettings } from './page-settings.ts'
import { type SiteSettings, siteSettings } from './site-settings.ts'
import { modeOf, PRODUCTION, stripeMistake } from './stripe-settings.ts'

/** The operator's configuration of a stage, checked. */
export interface Settings {
  stage: string
  production: boolean
  /** Whether data is protected against deletion by mistake: in production, unless its operator takes that off. */
  protected: boolean
  /** What customers know the service as: in mails and in authenticator apps. */
  appName: string
  /** The sender as a mail's header takes it, with the app's name unless it has a display name of its own. */
  mailFrom: string
  mailAddress: string
  mailDomain: string
  /** Whether this stage creates the domain's identity at SES. Only one stage of an account and region can. */
  createMailIdentity: boolean
  /** The URL of the team's own frontend, to which mails link; without a slash at the end. */
  appUrl: string
  /** The e-mail address that gets the alarms. */
  alarmEmail: string
  /** How much the AWS account may cost in a month, in USD, before its operator is told; undefined for no limit. */
  monthlyBudget: number | undefined
  /** Origins of the frontends that may call from a browser. */
  allowedOrigins: readonly string[]
  /** With which pages begin a payment at Stripe. Everybody may know it. */
  publishableKey: string
  /** What pages show of this deployment, as JSON. */
  pageSettings: string
  /** The address of the logo on pages, which their policy has to allow. */
  logoUrl: string | undefined
  /** The site key of Turnstile, where people are asked to show that they are no program; undefined where it is off. */
  challengeKey: string | undefined
  /**
   * The name of a table that is there already, which the deployment uses instead of the one that it made: a table that was
   * restored from a backup. Undefined before the first restore.
   */
  restoredTable: string | undefined
  /** Sessions that began before this time are over, ISO 8601; undefined where nothing was restored. */
  sessionsSince: string | undefined
  /** The distribution in front of pages and API; undefined where it is switched off. */
  site: SiteSettings | undefined
  /** Whether the stage does nothing and answers nobody, because another copy of it is at work or may come back. */
  standby: boolean
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * A mark that only values of the local stack contain. `live.ts` refuses it again in the deployed function.
 */
const LOCAL_MARK = 'Local0001'
const LOCAL_ROOT_SECRET = /^(10ca1)+/i
const LOCAL_NAMES = /^(AWS_ENDPOINT_URL_\w+|JWKS_URI|STRIPE_API_BASE|TURNSTILE_API_BASE|DYNAMODB_ENDPOINT)$/

/** Allowed names of a stage: short enough that every function's name fits into Lambda's 64 characters. */
const STAGE = /^[a-z][a-z0-9-]{0,15}$/

/**
 * Reads the configuration of a stage from the operator's environment, to which SST adds its `.env` files.
 * @throws Error with a sentence that says what is missing or wrong and what to put there.
 */
export function settingsOf(stage: string, env: Environment): Settings {
  if (!STAGE.test(stage)) {
    throw new Error(
      `The stage is called "${stage}". Use up to 16 characters of a-z, 0-9 and -, the first one a letter.`,
    )
  }
  // SST puts the secrets into the environment, too; `checkSecrets` checks them.
  const names = Object.keys(env).filter((name) => !name.startsWith('SST_SECRET'))
  const local = names.find((name) => LOCAL_NAMES.test(name) || env[name]?.includes(LOCAL_MARK))
  if (local) throw new Error(`${local} has a value of the local stack. Unset it before you deploy.`)
  const production = stage === PRODUCTION
  const appName = appNameOf(env.APP_NAME)
  const from = senderOf(
    required(env, 'MAIL_FROM', 'the sender of mails, "Name <no-reply@your.domain>"'),
    appName,
  )
  requireDeliverable('MAIL_FROM', from.address)
  const pages = pageSettings(env, from.address)
  requireDeliverable('SUPPORT_EMAIL', pages.supportEmail)
  const site = siteSettings(env)
  const identity = env.MAIL_IDENTITY || 'create'
  if (!/^(create|existing)$/.test(identity)) throw new Error('MAIL_IDENTITY must be "create" or "existing".')
  return {
    stage,
    production,
    protected: isProtected(stage, env),
    appName,
    mailFrom: from.header,
    mailAddress: from.address,
    mailDomain: from.address.slice(from.address.indexOf('@') + 1),
    createMailIdentity: identity === 'create',
    appUrl: frontend(appUrlOf(env, site), production),
    alarmEmail: address('ALARM_EMAIL', required(env, 'ALARM_EMAIL', 'where alarms go, an e-mail address')),
    monthlyBudget: budget(env.MONTHLY_BUDGET),
    allowedOrigins: origins(env.ALLOWED_ORIGINS ?? '', production),
    publishableKey: publishableKey(
      required(env, 'STRIPE_PUBLISHABLE_KEY', 'the publishable key of your Stripe account, pk_…'),
      stage,
    ),
    pageSettings: JSON.stringify(pages),
    logoUrl: pages.logoUrl,
    challengeKey: pages.challengeKey,
    ...restored(env),
    site,
    standby: isStandby(env),
  }
}

/** `sst.config.ts` also asks before there are settings. */
export function isProtected(stage: string, env: Environment): boolean {
  const protection = env.PROTECTION?.trim() || 'on'
  if (!/^(on|off)$/.test(protection)) throw new Error('PROTECTION must be "on" or "off".')
  return stage === PRODUCTION && protection === 'on'
}

function isStandby(env: Environment): boolean {
  const standby = env.STANDBY?.trim() || 'off'
  if (!/^(on|off)$/.test(standby)) throw new Error('STANDBY must be "on" or "off".')
  return standby === 'on'
}

/** The region of a stage, if it is set: then no shell's own region can make a second copy of the stage elsewhere. */
export function regionOf({ REGION }: Environment): { region?: string } {
  const region = REGION?.trim()
  if (region && !/^[a-z]{2}(?:-[a-z]+)+-\d$/.test(region))
    throw new Error(
      `REGION is ${JSON.stringify(region)}. Set the name of a region of AWS, such as eu-west-1.`,
    )
  return region ? { region } : {}
}

function budget(text: string | undefined): number | undefined {
  if (!text?.trim()) return undefined
  if (!/^[1-9]\d{0,6}$/.test(text.trim()))
    throw new Error('MONTHLY_BUDGET must be a whole number of US dollars, such as 200. Set it, or unset it.')
  return Number(text)
}

const TABLE = /^[\w.-]{3,255}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z$/

/**
 * What a stage sets once its table was restored (README.md, "Restore"). A restored table lists sessions that have ended
 * since its backup, so it does not go without the time before which all are over.
 */
function restored(env: Environment): Pick<Settings, 'restoredTable' | 'sessionsSince'> {
  const restoredTable = env.TABLE?.trim() || undefined
  const sessionsSince = env.SESSIONS_SINCE?.trim() || undefined
  if (restoredTable !== undefined && !TABLE.test(restoredTable))
    throw new Error('TABLE must be the name of a table: letters, digits, "_", "-" and ".".')
  if (restoredTable !== undefined && sessionsSince === undefined)
    throw new Error(
      'TABLE is set, so set SESSIONS_SINCE to the time of the restore, such as 2026-11-21T12:00:00Z.',
    )
  const sinceMs = sessionsSince === undefined ? 0 : Date.parse(sessionsSince)
  if (sessionsSince !== undefined && (!TIME.test(sessionsSince) || Number.isNaN(sinceMs)))
    throw new Error('SESSIONS_SINCE must be a time in UTC, such as 2026-11-21T12:00:00Z.')
  if (sinceMs > Date.now())
    throw new Error('SESSIONS_SINCE has not come yet: until then nobody could sign in.')
  return { restoredTable, sessionsSince }
}

/** The address in mails: the operator's own frontend, or the portal at its domain. */
function appUrlOf(env: Environment, site: SiteSettings | undefined): string {
  if (!env.APP_URL?.trim() && site?.domain) return `https://${site.domain.name}`
  return required(env, 'APP_URL', 'the portal or your frontend, which mails link to, https://…')
}

function publishableKey(key: string, stage: string): string {
  const mistake = stripeMistake('STRIPE_PUBLISHABLE_KEY', key, modeOf(stage))
  if (!mistake) return key
  throw new Error(
    `STRIPE_PUBLISHABLE_KEY is ${mistake.is}. Set the publishable key of the Stripe account, ${mistake.wanted}.`,
  )
}

function required(env: Environment, name: string, what: string): string {
  const value = env[name]?.trim()
  if (!value) throw new Error(`${name} is not set. It is ${what}; put it into .env or the environment.`)
  return value
}

/** The name of a deployment that does not set one. */
export const DEFAULT_APP_NAME = 'Bursar'

const APP_NAME_LENGTH = 40

/**
 * The name of the deployment. Authenticator apps take what comes before a colon for the issuer, so it has none.
 * @throws Error with a sentence that says what to set instead
 */
export function appNameOf(text: string | undefined): string {
  const name = text?.trim().normalize('NFC') || DEFAULT_APP_NAME
  if ([...name].length > APP_NAME_LENGTH || name.includes(':') || UNPRINTABLE.test(name)) {
    throw new Error(
      `APP_NAME must be 1 to ${APP_NAME_LENGTH} characters on one line, without a colon. Set the name that your customers know.`,
    )
  }
  return name
}

/**
 * The sender as the header of mails has it, and its address alone. A sender without a name gets the app's.
 * @throws Error with a sentence that says what to set instead
 */
export function senderOf(text: string, appName: string): { header: string; address: string } {
  try {
    const { name, address } = readSender(text)
    return { header: senderHeader({ name: name ?? appName, address }), address }
  } catch (error) {
    throw new Error(`MAIL_FROM ${(error as Error).message}`)
  }
}

function address(name: string, text: string): string {
  const found = mailAddress(text)
  if (!found) throw new Error(`${name} has no valid e-mail address. Set one, such as ops@your.domain.`)
  requireDeliverable(name, found)
  return found
}

function requireDeliverable(name: string, address: string): void {
  const domain = address.slice(address.indexOf('@') + 1)
  if (NOWHERE.test(domain))
    throw new Error(`${name} has an address at ${domain}, where no mail arrives. Use a real domain.`)
}

/** Whether browsers can reach the page over HTTPS. `localhost` is accepted, too, except in production. */
function isPage({ protocol, hostname }: InstanceType<typeof URL>, production: boolean): boolean {
  if (hostname === 'localhost') return !production
  return protocol === 'https:' && HOST.test(hostname) && !NOWHERE.test(hostname)
}

function frontend(text: string, production: boolean): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  // A link's path is put behind it, and even an empty query or fragment would swallow that path.
  const isPlain = !/[?#\p{Cc}]/u.test(text) && !url?.username && !url?.password
  if (!url || !isPlain || !isPage(url, production)) {
    throw new Error(
      `APP_URL is ${JSON.stringify(text)}. It must be https://your.domain, with a path or without, and nothing behind it.`,
    )
  }
  return url.href.replace(/\/+$/, '')
}

/**
 * Reads the list of origins. Each is given in full: a wildcard would let every page on the web read answers.
 */
function origins(list: string, production: boolean): string[] {
  const given = list.split(',').map((origin) => origin.trim())
  return given.filter(Boolean).map((origin) => {
    const url = URL.canParse(origin) ? new URL(origin) : undefined
    if (url && url.origin !== origin && isPage(url, production)) {
      throw new Error(`ALLOWED_ORIGINS has "${origin}". Write it as browsers send it: ${url.origin}.`)
    }
    if (!url || !isPage(url, production)) {
      throw new Error(
        `ALLOWED_ORIGINS has "${origin}". Each one must be https://your.domain, without a path.`,
      )
    }
    return origin
  })
}

/**
 * The secrets that `npm run sst -- secret set` stores. A check returns what a wrong value should be instead.
 */
const secretChecks = {
  StripeSecretKey: (value: string, { stage }: Settings) => {
    const mistake = stripeMistake('STRIPE_SECRET_KEY', value, modeOf(stage))
    return mistake && `${mistake.wanted} on the stage ${stage}, and is ${mistake.is}`
  },
  StripeWebhookSecrets: (value: string, { stage }: Settings) => {
    const mistake = stripeMistake('STRIPE_WEBHOOK_SECRETS', value, modeOf(stage))
    return mistake && `${mistake.wanted}, and is ${mistake.is}`
  },
  TurnstileSecretKey: (value: string) =>
    /^[\w-]{10,80}$/.test(value) ? undefined : 'the secret key of the widget of TURNSTILE_SITE_KEY',
  RootSecret: (value: string) => {
    const texts = value.toLowerCase().split(',')
    const areRandom = texts.every((text) => /^[0-9a-f]{64}$/.test(text) && new Set(text).size > 5)
    return areRandom && texts.length <= 2 && new Set(texts).size === texts.length
      ? undefined
      : '64 random hex digits (openssl rand -hex 32), or two of these with a comma between while it rotates'
  },
}

export type SecretName = keyof typeof secretChecks
export const secretNames = Object.keys(secretChecks) as SecretName[]

/** The secrets that a stage must have. That of Turnstile belongs to its site key. */
const neededSecrets = ({ challengeKey }: Settings): SecretName[] =>
  secretNames.filter((name) => name !== 'TurnstileSecretKey' || challengeKey !== undefined)

/**
 * Checks every secret before the deployment creates anything. SST passes each as `SST_SECRET_<name>`.
 * @throws Error with a sentence that never quotes the value.
 */
export function checkSecrets(settings: Settings, env: Environment): void {
  for (const name of neededSecrets(settings)) {
    const value = env[`SST_SECRET_${name}`]
    const set = `npm run sst -- secret set ${name} --stage ${settings.stage}`
    if (!value) throw new Error(`${name} is not set. Set it: ${set}`)
    if (
      value.includes(LOCAL_MARK) ||
      (name === 'RootSecret' && value.split(',').some((text) => LOCAL_ROOT_SECRET.test(text)))
    ) {
      throw new Error(`${name} has a value of the local stack. Set the real one: ${set}`)
    }
    const wanted = secretChecks[name](value, settings)
    if (wanted) throw new Error(`${name} must be ${wanted}. Set it: ${set}`)
  }
}
