import type { Placed } from '../../functions/http/route.ts'
import { expectContract } from '../conformance/contract.ts'
import type { TestAnswer } from '../support/send.ts'
import type { FuzzRequest } from './requests.ts'

const PROBLEM = 'application/problem+json'

/** What API Gateway answers by itself, which the documents say. */
const OF_THE_GATEWAY: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  413: 'Request Entity Too Large',
  414: 'Request-URI Too Long',
  431: 'Request Header Fields Too Large',
}

/** Texts that no answer may have, by their names. */
export interface Secrets {
  /** Of the deployment and of everybody's ways in. */
  always: Record<string, string>
  /** What is about another account, which only operators may see. */
  ofOthers: Record<string, string>
}

/** What an answer is in a sequence of verdicts: its status, and the code of a problem. */
export function outcomeOf({ status, body }: TestAnswer): string {
  const { type } = (typeof body === 'object' && body !== null ? body : {}) as { type?: unknown }
  return typeof type === 'string' && type.startsWith('urn:')
    ? `${status} ${type.split(':').at(-1)}`
    : String(status)
}

/** What is wrong with an answer, in one sentence; undefined if nothing is. */
export function faultOf(
  row: Placed,
  { headers }: Pick<FuzzRequest, 'headers'>,
  answer: TestAnswer,
  secrets: Secrets,
): string | undefined {
  if (answer.status >= 500) return `answered ${answer.status}, although nothing was broken`
  const leak = leakIn(row, answer, secrets)
  if (leak) return leak
  if (isOfTheGateway(answer)) return undefined
  try {
    // A caller of `/rest` gets problem details for the asking.
    const asksProblem = headers.some(([name, value]) => name === 'accept' && value === PROBLEM)
    expectContract(row.dialect === 'rest' && asksProblem ? { ...row, dialect: 'v1' } : row, answer)
    return undefined
  } catch (error) {
    return `does not answer what its document says: ${String((error as Error).message).split('\n')[0]}`
  }
}

function leakIn(
  row: Placed,
  { text, headers }: TestAnswer,
  { always, ofOthers }: Secrets,
): string | undefined {
  const mayKnow = row.auth === 'operator' || row.auth === 'admin-key'
  const all = `${text}\n${[...headers].map((header) => header.join(': ')).join('\n')}`.toLowerCase()
  const found = Object.entries({ ...always, ...(mayKnow ? {} : ofOthers) }).find(([, each]) =>
    all.includes(each.toLowerCase()),
  )
  return found && `shows ${found[0]}`
}

/** Node answers a bare 431 to headers that are larger still, before the gateway of this machine sees them. */
function isOfTheGateway({ status, text }: TestAnswer): boolean {
  if (status === 431 && text === '') return true
  return OF_THE_GATEWAY[status] !== undefined && text === JSON.stringify({ message: OF_THE_GATEWAY[status] })
}
