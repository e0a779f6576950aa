import { parseArgs } from 'node:util'

/** What a person chose for `npm run dev`. */
export interface StartOptions {
  port: number
  /** A folder, or `:memory:`. */
  data: string
  schedule: boolean
  routes: boolean
  help: boolean
  /** The frontend, if the environment names one. */
  appUrl: string | undefined
}

const USAGE = 'npm run dev -- [--port 3000] [--data .local | :memory:] [--no-schedule] [--routes] [--help]'

export const HELP = `Starts all of Bursar on this machine.

  ${USAGE}

  --port PORT     where the API listens; 3000 without it, and 0 picks a free port
  --data FOLDER   where data are kept; .local without it, and :memory: keeps nothing
  --no-schedule   jobs run only when POST /_local/jobs/NAME asks for them; so do renewals (NAME is renew),
                  which otherwise start when units run low
  --routes        prints every route and the whole walk-through, too
  --help          prints this text

Environment

  PORT                     the port, where --port is not given
  DYNAMODB_ENDPOINT        a DynamoDB to use instead of starting one, such as http://127.0.0.1:8000
  APP_URL                  your frontend, such as http://localhost:5173, to which mails link and on which passkeys
                           work; this stack's own pages without it
  STRIPE_SECRET_KEY        sk_test_… or rk_test_…: Stripe's test mode instead of the double
  STRIPE_PUBLISHABLE_KEY   pk_test_… of the same account, which GET /v1/config tells to pages
  STRIPE_WEBHOOK_SECRETS   whsec_… that \`npx stripe listen\` prints, to be given with STRIPE_SECRET_KEY; while
                           secrets rotate, two with a comma between
  APP_NAME, SUPPORT_EMAIL, APP_COLOR, APP_LOGO_URL, TERMS_URL, PRIVACY_URL
                           what pages show, as in a deployment (functions/deploy/README.md)
  NO_COLOR, FORCE_COLOR    1 turns colours off, or on where the output is no terminal`

/**
 * Reads the arguments, and the port from the environment where they have none.
 * @throws Error with a sentence for the person at the terminal.
 */
export function readOptions(args: string[], env: Record<string, string | undefined>): StartOptions {
  const { values } = parse(args)
  const [source, port] = values.port === undefined ? ['PORT', env.PORT || '3000'] : ['--port', values.port]
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new Error(`${source} ${port} is no port. Usage: ${USAGE}`)
  }
  if (values.data === '') throw new Error(`--data needs a folder. Usage: ${USAGE}`)
  return {
    port: Number(port),
    data: values.data,
    schedule: !values['no-schedule'],
    routes: values.routes,
    help: values.help,
    appUrl: frontendIn(env),
  }
}

/** Browsers make no passkey for an IP address, so `localhost` is the local frontend's name. */
function frontendIn({ APP_URL: text }: Record<string, string | undefined>): string | undefined {
  if (!text) return undefined
  const { protocol, hostname, href } = URL.canParse(text) ? new URL(text) : { href: '' }
  const isPage = protocol === 'https:' || (protocol === 'http:' && hostname === 'localhost')
  if (!isPage || /^[\d.]+$|:/.test(hostname ?? '')) {
    throw new Error(`APP_URL ${text} is no page: set https://… or http://localhost:PORT. Usage: ${USAGE}`)
  }
  return href.replace(/\/+$/, '')
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        port: { type: 'string' },
        data: { type: 'string', default: '.local' },
        'no-schedule': { type: 'boolean', default: false },
        routes: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new Error(`${(error as Error).message.replaceAll('\n', ' ')} Usage: ${USAGE}`)
  }
}
