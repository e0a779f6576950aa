import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { domainToASCII } from 'node:url'
import * as z from 'zod/mini'
import { cut, type FaultControls, type OperationFault, operationFaults } from './faults.ts'
import { listen, readBody } from './http.ts'
import { type MailEvent, mailEventOf, suppresses } from './mail-events.ts'
import { openState } from './state.ts'

/** A sent message; `sentAt` is an ISO time of the stack's clock. */
export interface SentMail {
  to: string
  subject: string
  text: string
  html: string
  sentAt: string
}

const accepted = z.object({
  from: z.optional(z.string()),
  to: z.string(),
  id: z.string(),
  tags: z.record(z.string(), z.array(z.string())),
})

type Accepted = z.infer<typeof accepted>

const schema = z.object({
  messages: z.array(
    z.object({
      to: z.string(),
      subject: z.string(),
      text: z.string(),
      html: z.string(),
      sentAt: z.string(),
    }),
  ),
  /** What SES remembers of each message for its events. Files of earlier versions have neither list. */
  sent: z.optional(z.array(accepted)),
  suppressed: z.optional(z.array(z.string())),
})

export interface MailDouble extends FaultControls<OperationFault> {
  /** For AWS_ENDPOINT_URL_SESV2. */
  url: string
  /** The accepted messages, oldest first; with `to`, only mail to that address, in upper or lower case. */
  messages(to?: string): SentMail[]
  /**
   * What SES would report if the newest message to an address were sent now: see `REPORTS` of `mail-events.ts`. After a hard
   * bounce or a complaint the address is on the suppression list.
   * @throws Error that names the reports, or says that nothing was sent to the address
   */
  report(to: string, what: string): MailEvent
  /** Events since the last call about messages that SES accepted and suppressed, if nobody gets them at once. */
  takeEvents(): MailEvent[]
  /** Empties the suppression list, as an operator of SES can. */
  clearSuppressed(): void
  /** Stores a message as if it had been sent, with the account as its tag. */
  add(mail: Omit<SentMail, 'sentAt'> & { accountId?: string | undefined }): void
  /** The sender of each message to an address, oldest first, as SES was given it for the header. */
  senders(to: string): string[]
  /** Requests since the last reset, by operation, including those answered with an error. */
  calls(): Record<string, number>
  resetCalls(): void
  /** Deletes every message. */
  clear(): void
  close(): Promise<void>
}

/**
 * A double of SES that stores the mail instead of sending it: SendEmail of the SESv2 API, with simple
 * content. It has the suppression list of an account: a message to an address that bounced is accepted, not
 * delivered, and reported as an event.
 *
 * Known differences from SES: unknown parameters and parts that Bursar does not use (raw content,
 * templates, Cc, attachments, quoted local parts, several recipients, charsets other than UTF-8) are refused;
 * only events about bounces, complaints, rejections and suppressed messages exist, and only when asked for, or at
 * once; every identity counts as verified, and every well-formed configuration set name exists; there are no
 * quotas, so only a fault throttles; signatures are not checked.
 */
export async function startMail(options: {
  nowMs: () => number
  port?: number
  stateFile?: string
  /** Gets each event about a suppressed message. Without it the events wait for `takeEvents`. */
  onEvent?: ((event: MailEvent) => void) | undefined
}): Promise<MailDouble> {
  const remedy = 'Delete the file; the mail box is then empty.'
  const state = openState(
    { file: options.stateFile, schema, remedy },
    (): z.infer<typeof schema> => ({ messages: [] }),
  )
  let calls: Record<string, number> = {}
  const faults = operationFaults(['SendEmail'])

  let events: MailEvent[] = []
  const onEvent = options.onEvent ?? ((event: MailEvent) => void events.push(event))

  const keep = (mail: Omit<SentMail, 'sentAt'>) =>
    void state.value.messages.push({ ...mail, sentAt: new Date(options.nowMs()).toISOString() })

  const suppressed = () => state.value.suppressed ?? []

  const remember = (about: Omit<Accepted, 'id'>): string => {
    const sent = { ...about, id: messageId() }
    state.value.sent = [...(state.value.sent ?? []), sent]
    return sent.id
  }

  const newestTo = (to: string): Accepted => {
    const sent = (state.value.sent ?? []).findLast((each) => comparable(each.to) === comparable(to))
    if (!sent) throw new Error(`No mail was sent to ${to}.`)
    return sent
  }

  const take = ({ tags, from, ...mail }: NewMail): string => {
    const id = remember({ to: mail.to, from, tags })
    if (!suppressed().includes(comparable(mail.to))) keep(mail)
    else onEvent(mailEventOf('suppressed', newestTo(mail.to), options.nowMs()))
    return id
  }

  const accept = (request: IncomingMessage, body: Buffer): Answer => {
    if (!isSigned(request)) {
      return refusal(403, 'MissingAuthenticationTokenException', 'Missing Authentication Token')
    }
    try {
      const MessageId = take(readMail(JSON.parse(body.toString('utf8'))))
      state.save()
      return { status: 200, headers: {}, body: { MessageId } }
    } catch (error) {
      return refusal(400, 'BadRequestException', (error as Error).message)
    }
  }

  const listener = await listen(async (request, response) => {
    const body = await readBody(request)
    if (`${request.method} ${request.url}` !== 'POST /v2/email/outbound-emails') {
      return send(response, refusal(404, 'UnknownOperationException', 'The double knows SendEmail only.'))
    }
    calls.SendEmail = (calls.SendEmail ?? 0) + 1
    const answer = await faults.serve('SendEmail', {
      serve: async () => accept(request, body),
      refuse: (why) =>
        why === 'error'
          ? refusal(500, 'InternalServiceErrorException', 'A fault was asked for.')
          : refusal(429, 'TooManyRequestsException', 'Maximum sending rate exceeded.'),
    })
    return answer ? send(response, answer) : cut(response)
  }, options.port)

  return {
    url: listener.url,
    messages: (to) =>
      state.value.messages.filter((mail) => to === undefined || comparable(mail.to) === comparable(to)),
    report(to, what) {
      const event = mailEventOf(what, newestTo(to), options.nowMs())
      if (suppresses(what)) state.value.suppressed = [...suppressed(), comparable(to)]
      state.save()
      return event
    },
    takeEvents: () => events.splice(0),
    clearSuppressed: () => {
      state.value.suppressed = []
      state.save()
    },
    add: ({ accountId, ...mail }) => {
      remember({ to: mail.to, tags: accountId === undefined ? {} : { account: [accountId] } })
      keep(mail)
      state.save()
    },
    senders: (to) =>
      (state.value.sent ?? [])
        .filter((each) => comparable(each.to) === comparable(to))
        .flatMap(({ from }) => from ?? []),
    addFault: faults.addFault,
    clearFaults: faults.clearFaults,
    calls: () => ({ ...calls }),
    resetCalls: () => {
      calls = {}
    },
    clear: () => {
      state.value = { messages: [] }
      events = []
      state.save()
    },
    close: () => {
      faults.close()
      return listener.close()
    },
  }
}

function isSigned(request: IncomingMessage): boolean {
  return request.headers.authorization?.startsWith('AWS4-HMAC-SHA256 ') === true
}

interface Answer {
  status: number
  headers: Record<string, string>
  body: object
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

function refusal(status: number, type: string, message: string): Answer {
  return { status, headers: { 'x-amzn-errortype': type }, body: { message } }
}

type Fields = Record<string, unknown>

/**
 * Returns the value as an object with only these keys. @throws Error that names the path of anything else.
 */
function fields(value: unknown, path: string, known: string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`${path} must be an object.`)
  }
  const stranger = Object.keys(value).find((key) => !known.includes(key))
  if (stranger !== undefined) throw new Error(`${path}.${stranger} is not a known parameter.`)
  return value as Fields
}

const messageId = () => `${randomUUID()}-000000`

/** A message that is being accepted. */
type NewMail = Omit<SentMail, 'sentAt'> & Pick<Accepted, 'from' | 'tags'>

/** Reads the message of a SendEmail request. @throws Error that says what SES would refuse. */
function readMail(input: unknown): NewMail {
  const { FromEmailAddress, Destination, Content, ConfigurationSetName, EmailTags } = fields(
    input,
    'Request',
    ['FromEmailAddress', 'Destination', 'Content', 'ConfigurationSetName', 'EmailTags'],
  )
  senderAddress(FromEmailAddress)
  const { ToAddresses } = fields(Destination, 'Destination', ['ToAddresses'])
  if (!Array.isArray(ToAddresses) || ToAddresses.length !== 1) {
    throw new Error('Destination.ToAddresses must hold one address.')
  }
  if (ConfigurationSetName !== undefined && !/^[\w-]{1,64}$/.test(String(ConfigurationSetName))) {
    throw new Error('ConfigurationSetName is not a valid name of a configuration set.')
  }
  const { Simple } = fields(Content, 'Content', ['Simple'])
  const { Subject, Body } = fields(Simple, 'Content.Simple', ['Subject', 'Body'])
  const { Text, Html } = fields(Body, 'Body', ['Text', 'Html'])
  if (Text === undefined && Html === undefined) throw new Error('Body must hold Text or Html.')
  const subject = content(Subject, 'Subject')
  if (/[\r\n]/.test(subject)) throw new Error('Subject must be one line.')
  const tags = { ...readTags(EmailTags), ...setTag(ConfigurationSetName) }
  return {
    tags,
    from: String(FromEmailAddress),
    to: bareAddress(ToAddresses[0], 'Destination.ToAddresses'),
    subject,
    text: Text === undefined ? '' : content(Text, 'Body.Text'),
    html: Html === undefined ? '' : content(Html, 'Body.Html'),
  }
}

/** SES adds the configuration set to the tags of a message. */
const setTag = (name: unknown) => (name === undefined ? {} : { 'ses:configuration-set': [String(name)] })

/** A message's tags as its events show them. */
function readTags(value: unknown): Record<string, string[]> {
  if (value === undefined) return {}
  if (!Array.isArray(value)) throw new Error('EmailTags must be a list.')
  return Object.fromEntries(
    value.map((tag) => {
      const { Name, Value } = fields(tag, 'EmailTags', ['Name', 'Value'])
      const isTag = [Name, Value].every((part) => /^[\w.@-]{1,256}$/.test(String(part ?? '')))
      if (!isTag)
        throw new Error('EmailTags has a name or a value with other characters than A-Z a-z 0-9 _ - . @.')
      return [String(Name), [String(Value)]]
    }),
  )
}

function content(value: unknown, path: string): string {
  const { Data, Charset } = fields(value, path, ['Data', 'Charset'])
  if (typeof Data !== 'string') throw new Error(`${path}.Data must be given.`)
  if (Charset !== undefined && Charset !== 'UTF-8') throw new Error(`${path}.Charset must be UTF-8.`)
  if (Charset === undefined && /[^\0-\x7f]/.test(Data)) throw new Error(`${path} needs a Charset.`)
  return Data
}

const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
const ADDRESS = new RegExp(`^(?=.{1,64}@)${ATOM}(?:\\.${ATOM})*@(?=.{1,255}$)${LABEL}(?:\\.${LABEL})+$`)

/** The address in `a@b` or `Name <a@b>`, in ASCII only, as SES requires. */
function bareAddress(value: unknown, path: string): string {
  const text = typeof value === 'string' ? value : ''
  const address = /^[^<>@,;\r\n]*<([^<>]*)>$/.exec(text)?.[1] ?? text
  if (!ADDRESS.test(address)) throw new Error(`${path} holds no valid address: ${text}`)
  return address
}

const WORD = `(?:${ATOM}|"(?:[\\x20-\\x21\\x23-\\x5b\\x5d-\\x7e]|\\\\[\\x20-\\x7e])*")`
const SENDER = new RegExp(`^(?:(?:${WORD}(?:[ ]+${WORD})*[ ]+)?<([^<>]*)>|([^<>]*))$`)

/** The address of a sender. A name before it is words or quoted strings (RFC 5322), in ASCII, or encoded. */
function senderAddress(value: unknown): string {
  const [, bracketed, bare] = SENDER.exec(typeof value === 'string' ? value : '') ?? []
  const address = bracketed ?? bare ?? ''
  if (!ADDRESS.test(address)) throw new Error(`FromEmailAddress is no valid sender: ${value}`)
  return address
}

function comparable(address: string): string {
  const at = address.lastIndexOf('@') + 1
  return (address.slice(0, at) + (domainToASCII(address.slice(at)) || address.slice(at))).toLowerCase()
}
