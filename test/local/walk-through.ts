import { bundleNames, bundleOf, CURRENCY } from '../../core/purchases/catalogue.ts'
import { amountOf } from '../../functions/http/money-shapes.ts'

/**
 * The first five minutes as requests, which `npm run dev -- --routes` prints and the README shows: one source for every
 * shell, and a test that pastes it as it stands. `{name}` in a text is a value that was kept under that name.
 */
interface Request {
  method: 'GET' | 'POST'
  path: string
  /** The kept value that goes with it as a bearer token. */
  token?: string
  json?: Json
  /** A value of the answer, kept instead of shown: in JavaScript and in PowerShell, each after the answer. */
  keep?: { name: string; sh: string; powershell: string }
  /** It has no body, so its status is shown. */
  empty?: true
}

interface Json {
  [name: string]: string | number | Json
}

/** Without a symbol such as $, which the shells would take for a variable. */
const first = bundleOf(bundleNames[0])
const price = `${amountOf(first.priceCents, CURRENCY)} ${CURRENCY}`

const usage: Request = {
  method: 'POST',
  path: '/v1/usage',
  token: 'key',
  json: { units: 3, requestId: 'call-1' },
}

const steps: { title: string; requests: Request[] }[] = [
  {
    title: 'Register. The answer has the shape of Skylink.',
    requests: [
      {
        method: 'POST',
        path: '/rest/users',
        json: { username: '{name}', email: '{name}@mail.example', password: 'Hello123!' },
      },
    ],
  },
  {
    title: 'Confirm the address with the code from the mail, which the local stack keeps.',
    requests: [
      {
        method: 'GET',
        path: '/_local/mail?to={name}@mail.example',
        keep: {
          name: 'code',
          sh: '[0].text.match(/[0-9a-f]{32}/)[0]',
          powershell: ".text -replace '(?s).*?([0-9a-f]{32}).*', '$1'",
        },
      },
      { method: 'POST', path: '/v1/auth/activate', json: { code: '{code}' } },
    ],
  },
  {
    title: 'Sign in, and read one account in three dialects.',
    requests: [
      {
        method: 'POST',
        path: '/v1/auth/login',
        json: { email: '{name}@mail.example', password: 'Hello123!' },
        keep: { name: 'token', sh: '.accessToken', powershell: '.accessToken' },
      },
      { method: 'GET', path: '/api/users/current', token: 'token' },
      { method: 'GET', path: '/v1/user', token: 'token' },
      { method: 'GET', path: '/rest/users/{name}', token: 'token' },
    ],
  },
  {
    title: 'Prove a test card with a small amount that is held and released.',
    requests: [
      {
        method: 'POST',
        path: '/api/users/current/verify-payment',
        token: 'token',
        json: { paymentMethod: 'pm_card_visa' },
      },
      { method: 'GET', path: '/api/users/current/list-payment-methods', token: 'token' },
    ],
  },
  {
    title: `Sign up for a bundle: ${first.units.toLocaleString('en-US')} calls for ${price}, on top of the 100 of the trial.`,
    requests: [
      {
        method: 'POST',
        path: '/v1/user/bundle',
        token: 'token',
        json: {
          name: first.name,
          paymentMethod: 'pm_card_visa',
          address: { street: 'Main st. 1', city: 'York', postCode: 'YO31 8SB', country: 'GB' },
        },
        empty: true,
      },
    ],
  },
  {
    title: 'Spend three calls with the application key. The same request id again spends nothing.',
    requests: [
      {
        method: 'GET',
        path: '/v1/user',
        token: 'token',
        keep: { name: 'key', sh: '.apiKey', powershell: '.apiKey' },
      },
      usage,
      usage,
    ],
  },
  {
    title: 'Read the use by day, the statement, and the invoice with its receipt.',
    requests: [
      { method: 'GET', path: '/v1/usage', token: 'token' },
      { method: 'GET', path: '/v1/ledger', token: 'token' },
      {
        method: 'GET',
        path: '/v1/invoice/list',
        token: 'token',
        keep: { name: 'invoice', sh: '[0].id', powershell: '.id' },
      },
      { method: 'GET', path: '/v1/invoice/{invoice}', token: 'token' },
    ],
  },
]

const KEPT = /\{(\w+)\}/g

/**
 * For bash and zsh. The name is another one each time, so that it can be pasted again. It has no `#` comments, which an
 * interactive zsh takes for commands, and `!` only between single quotes, where bash leaves it alone.
 */
export function shellWalkThrough(url: string): string {
  const call = ({ method, path, token, json, keep, empty }: Request) => {
    const bearer = token === undefined ? '' : ` -H "authorization: Bearer $${token.toUpperCase()}"`
    const target = path.replaceAll(KEPT, (_, name: string) => `$${name.toUpperCase()}`)
    const quoted = (text: string) =>
      `'${text.replaceAll(KEPT, (_, name: string) => `'$${name.toUpperCase()}'`)}'`
    const body = json === undefined ? '' : ` -H "$JSON" \\\n  -d ${quoted(JSON.stringify(json))}`
    if (json === undefined && method !== 'GET') throw new Error(`curl would send ${path} as a GET`)
    const curl = `curl -sS "$API${target}"${bearer}${body}`
    if (empty) return `${curl} -w '%{http_code}\\n'`
    return keep ? `${keep.name.toUpperCase()}=$(${curl} | pick '${keep.sh}')` : `${curl} | show`
  }
  return [
    `API=${url}`,
    'NAME=ada$RANDOM$RANDOM',
    "JSON='content-type: application/json'",
    `show() { node -p 'JSON.stringify(JSON.parse(require("fs").readFileSync(0)), null, 2)'; }`,
    `pick() { node -p "JSON.parse(require('fs').readFileSync(0))$1"; }`,
    ...steps.flatMap(({ title, requests }) => ['', `echo; echo '${title}'`, ...requests.map(call)]),
  ].join('\n')
}

/** For PowerShell: Windows' own and the one of every platform. */
export function powerShellWalkThrough(url: string): string {
  const quoted = (text: string) =>
    /\{\w+\}/.test(text) ? `"${text.replaceAll(KEPT, (_, name: string) => `$${name}`)}"` : `'${text}'`
  const literal = (value: Json[string]): string => {
    if (typeof value === 'number') return String(value)
    if (typeof value === 'string') return quoted(value)
    return `@{ ${Object.entries(value)
      .map(([name, inner]) => `${name} = ${literal(inner)}`)
      .join('; ')} }`
  }
  const call = ({ method, path, token, json, keep, empty }: Request) => {
    const bearer = token === undefined ? '' : ` -token $${token}`
    const body = json === undefined ? '' : ` -json ${literal(json)}`
    const sent = `send ${method} ${quoted(path)}${bearer}${body}`
    if (empty) return sent
    return keep ? `$${keep.name} = (${sent})${keep.powershell}` : `(${sent}) | ConvertTo-Json -Depth 9`
  }
  return [
    `$api = '${url}'`,
    "$name = 'ada' + (Get-Random)",
    'function send($method, $path, $token, $json) {',
    '  $request = @{ Method = $method; Uri = "$api$path"; ContentType = \'application/json\' }',
    '  if ($token) { $request.Headers = @{ Authorization = "Bearer $token" } }',
    '  if ($json) { $request.Body = ConvertTo-Json $json }',
    '  Invoke-RestMethod @request',
    '}',
    ...steps.flatMap(({ title, requests }) => ['', `Write-Host "\`n${title}"`, ...requests.map(call)]),
  ].join('\n')
}

/** For the shell that a terminal of this platform has. */
export const walkThrough = process.platform === 'win32' ? powerShellWalkThrough : shellWalkThrough
