import { isDeepStrictEqual } from 'node:util'
import type { Graph, Resource } from './graph.ts'

/**
 * A rule returns sentences that say what is wrong, or none if the stage is right.
 */
export type Rule = (graph: Graph) => string[] | Promise<string[]>

export const REGION = 'eu-west-1'
export const ACCOUNT = '123456789012'
export const prefixOf = ({ stage }: Graph) => `bursar-${stage}`
export const arn = (service: string, path: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${path}`

export const all = (graph: Graph, type: string): Resource[] =>
  graph.resources.filter((one) => one.type === type)

export const inputsOf = (graph: Graph, type: string) => all(graph, type).map(({ inputs }) => inputs)

/** Reports surplus, missing and duplicate names. */
export function difference(what: string, actual: Iterable<string>, expected: Iterable<string>): string[] {
  const [is, should] = [[...actual], [...expected]]
  return [
    ...is.filter((one) => !should.includes(one)).map((one) => `${what}: ${one} should not be there`),
    ...should.filter((one) => !is.includes(one)).map((one) => `${what}: ${one} is missing`),
    ...is.filter((one, at) => is.indexOf(one) !== at).map((one) => `${what}: ${one} is there twice`),
  ]
}

export const same = (what: string, actual: unknown, expected: unknown): string[] =>
  isDeepStrictEqual(actual, expected)
    ? []
    : [`${what} is ${JSON.stringify(actual)} and should be ${JSON.stringify(expected)}`]
