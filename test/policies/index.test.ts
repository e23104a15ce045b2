import { describe, expect, it } from 'vitest';
import { Clock } from '../../src/policies/clock.ts';
import { PolicySpecError, parsePolicy, policies } from '../../src/policies/index.ts';

const known = Object.keys(policies).join(', ');

describe('parsePolicy', () => {
  it('fills in the defaults', () => {
    expect(parsePolicy('lru')).toMatchObject({ name: 'lru', label: 'lru', params: {} });
    expect(parsePolicy('clock')).toMatchObject({ name: 'clock', label: 'clock', params: { bits: 1 } });
  });

  it('reads parameters and labels a policy by those that differ from their defaults', () => {
    expect(parsePolicy('clock:bits=2')).toMatchObject({ label: 'clock:bits=2', params: { bits: 2 } });
    expect(parsePolicy('clock:bits=1').label).toBe('clock');
    expect(parsePolicy('clock:bits=2e0').label).toBe('clock:bits=2');
  });

  it('makes policies that have the parameters', () => {
    const policy = parsePolicy('clock:bits=2').create(2, 4, 0);
    expect(policy).toBeInstanceOf(Clock);
    expect(policy).toHaveProperty('limit', 4);
  });

  it.each([
    ['', `policy '': unknown policy ''; known: ${known}`],
    ['belady2', `policy 'belady2': unknown policy 'belady2'; known: ${known}`],
    ['toString', `policy 'toString': unknown policy 'toString'; known: ${known}`],
    ['LRU', `policy 'LRU': unknown policy 'LRU'; known: ${known}`],
    ['clock:', "policy 'clock:': expected param=value, found ''"],
    ['clock:2', "policy 'clock:2': expected param=value, found '2'"],
    ['clock:bit=2', "policy 'clock:bit=2': unknown parameter 'bit'; clock takes bits"],
    ['clock:toString=2', "policy 'clock:toString=2': unknown parameter 'toString'; clock takes bits"],
    ['lru:bits=2', "policy 'lru:bits=2': unknown parameter 'bits'; lru takes none"],
    ['clock:bits=1:bits=2', "policy 'clock:bits=1:bits=2': parameter 'bits' is given twice"],
    ['clock:bits=', "policy 'clock:bits=': 'bits' must be a decimal number, not ''"],
    ['clock:bits=two', "policy 'clock:bits=two': 'bits' must be a decimal number, not 'two'"],
    ['clock:bits=0x2', "policy 'clock:bits=0x2': 'bits' must be a decimal number, not '0x2'"],
    ['clock:bits=Infinity', "policy 'clock:bits=Infinity': 'bits' must be a decimal number, not 'Infinity'"],
    ['clock:bits=9e999', "policy 'clock:bits=9e999': 'bits' must be a decimal number, not '9e999'"],
    ['clock:bits=8', "policy 'clock:bits=8': bits must be an integer from 1 to 7, not 8"],
  ])('refuses %j', (spec, message) => {
    expect(() => parsePolicy(spec)).toThrow(PolicySpecError);
    expect(() => parsePolicy(spec)).toThrow(message);
  });
});

it('each label of the registry parses to itself', () => {
  for (const name of Object.keys(policies)) expect(parsePolicy(parsePolicy(name).label).label).toBe(name);
});
