import { afterAll, describe, expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { openWireTable } from '../../core/table/wire.ts'
import { startDynamo } from './dynamodb.ts'
import { mistakeOf } from './judge.ts'

const TableName = 'bursar'
const Key = { pk: { S: 'A' }, sk: { S: 'B' } }
const name = { '#n': 'n' }
const value = { ':v': { N: '1' } }

/** An update, with the parts that a test changes. */
const update = (parts: object) => ({
  ...{ TableName, Key, UpdateExpression: 'SET #n = :v' },
  ...{ ExpressionAttributeNames: name, ExpressionAttributeValues: value },
  ...parts,
})
const many = (times: number) =>
  Array.from({ length: times }, (_, n) => ({ pk: { S: `A${n}` }, sk: { S: 'B' } }))

describe('of each operation that Bursar uses, the judge lets pass what DynamoDB takes', () => {
  test.each<[string, object]>([
    ['GetItem', { TableName, Key, ConsistentRead: true }],
    [
      'Query',
      {
        TableName,
        KeyConditionExpression: '#n = :v',
        ExpressionAttributeNames: name,
        ExpressionAttributeValues: value,
      },
    ],
    [
      'PutItem',
      { TableName, Item: { ...Key, text: { S: '' }, deep: { M: { list: { L: [{ NULL: true }] } } } } },
    ],
    ['UpdateItem', update({ ReturnValuesOnConditionCheckFailure: 'ALL_OLD' })],
    ['DeleteItem', { TableName, Key, ConditionExpression: 'attribute_exists(pk)' }],
    ['BatchGetItem', { RequestItems: { [TableName]: { Keys: many(100) } } }],
    ['BatchWriteItem', { RequestItems: { [TableName]: many(25).map((Item) => ({ PutRequest: { Item } })) } }],
    [
      'TransactWriteItems',
      {
        TransactItems: [
          { Update: update({}) },
          { ConditionCheck: { TableName, Key, ConditionExpression: 'attribute_exists(pk)' } },
        ],
      },
    ],
  ])('%s', (operation, input) => {
    expect(mistakeOf(operation, input as never)).toBe(undefined)
  })
})

describe('a planted fault is found', () => {
  test.each<[string, string, object, RegExp]>([
    ['a syntax error', 'UpdateItem', update({ UpdateExpression: 'SET #n == :v' }), /Syntax error/],
    [
      'a reserved word',
      'UpdateItem',
      update({ UpdateExpression: 'SET #n = :v, status = :v' }),
      /reserved keyword: status/,
    ],
    [
      'a name that nothing uses',
      'UpdateItem',
      update({ ExpressionAttributeNames: { ...name, '#m': 'm' } }),
      /unused.*#m/,
    ],
    [
      'a value that nothing uses',
      'UpdateItem',
      update({ ExpressionAttributeValues: { ...value, ':w': { N: '1' } } }),
      /unused.*:w/,
    ],
    [
      'a value that is not given',
      'UpdateItem',
      update({ UpdateExpression: 'SET #n = :w' }),
      /not defined.*:w/,
    ],
    [
      'a path that is set twice',
      'UpdateItem',
      update({ UpdateExpression: 'SET #n = :v, #n = :v' }),
      /overlap/,
    ],
    [
      'text that is added',
      'UpdateItem',
      update({ UpdateExpression: 'ADD #n :v', ExpressionAttributeValues: { ':v': { S: '1' } } }),
      /operand type/,
    ],
    [
      'a number as a prefix',
      'UpdateItem',
      update({ ConditionExpression: 'begins_with(#n, :v)' }),
      /begins_with/,
    ],
    [
      'a function of Query’s in the wrong place',
      'Query',
      {
        TableName,
        KeyConditionExpression: 'contains(#n, :v)',
        ExpressionAttributeNames: name,
        ExpressionAttributeValues: value,
      },
      /contains/,
    ],
    [
      '301 operators',
      'UpdateItem',
      update({ ConditionExpression: Array(151).fill('#n = :v').join(' OR ') }),
      /number of operators/,
    ],
    [
      'an expression of 4 KB',
      'UpdateItem',
      update({ ConditionExpression: `#n = :v${' '.repeat(4096)}` }),
      /size/,
    ],
    ['an empty set', 'PutItem', { TableName, Item: { ...Key, set: { SS: [] } } }, /may not be empty/],
    [
      'a set with an element twice',
      'PutItem',
      { TableName, Item: { ...Key, set: { SS: ['a', 'a'] } } },
      /duplicates/,
    ],
    [
      'a number of 39 digits',
      'PutItem',
      { TableName, Item: { ...Key, n: { N: '1'.repeat(39) } } },
      /significant digits/,
    ],
    [
      'an item of 400 KB',
      'PutItem',
      { TableName, Item: { ...Key, text: { S: 'x'.repeat(400 * 1024) } } },
      /Item size/,
    ],
    [
      'an empty range',
      'Query',
      {
        TableName,
        KeyConditionExpression: '#n BETWEEN :v AND :w',
        ExpressionAttributeNames: name,
        ExpressionAttributeValues: { ...value, ':w': { N: '0' } },
      },
      /upper bound/,
    ],
    [
      '101 keys',
      'BatchGetItem',
      { RequestItems: { [TableName]: { Keys: many(101) } } },
      /less than or equal to 100/,
    ],
    [
      '26 items',
      'BatchWriteItem',
      { RequestItems: { [TableName]: many(26).map((Item) => ({ PutRequest: { Item } })) } },
      /less than or equal to 25/,
    ],
    [
      '101 writes',
      'TransactWriteItems',
      { TransactItems: many(101).map((Item) => ({ Put: { TableName, Item } })) },
      /1 to 100/,
    ],
    [
      'a reserved word in a transaction',
      'TransactWriteItems',
      {
        TransactItems: [
          { Put: { TableName, Item: Key } },
          { Delete: { TableName, Key, ConditionExpression: 'attribute_exists(status)' } },
        ],
      },
      /reserved keyword/,
    ],
    [
      'a check without a condition',
      'TransactWriteItems',
      { TransactItems: [{ ConditionCheck: { TableName, Key } }] },
      /needs a Condition/,
    ],
  ])('%s', (_, operation, input, sentence) => {
    expect(mistakeOf(operation, input as never)).toMatch(sentence)
  })
})

test('a request is judged by its values too, though expressions of the same text are judged once', () => {
  const put = (item: object) => mistakeOf('PutItem', { TableName, Item: { ...Key, ...item } })
  expect([put({ a: { S: 'x' } }), put({ a: { SS: [] } })]).toEqual([undefined, expect.any(String)])
  const spend = (v: object) =>
    mistakeOf('UpdateItem', update({ UpdateExpression: 'ADD #n :v', ExpressionAttributeValues: { ':v': v } }))
  expect([spend({ N: '1' }), spend({ S: '1' }), spend({ N: 'one' })]).toEqual([
    undefined,
    expect.any(String),
    expect.any(String),
  ])
})

test('the stack refuses what DynamoDB refuses, as DynamoDB does, and remembers it', async () => {
  const dynamo = await startDynamo()
  afterAll(() => dynamo.close())
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }
  const table = openWireTable({
    tableName: TableName,
    region: 'eu-west-1',
    endpoint: dynamo.url,
    credentials,
  })
  const write = table.update({ pk: 'A', sk: 'B' }, expr`SET status = ${1}`)
  await expect(write).rejects.toMatchObject({ name: 'ValidationException' })
  expect(dynamo.mistakes).toEqual([expect.stringMatching(/^UpdateItem: .*reserved keyword: status$/)])
})
