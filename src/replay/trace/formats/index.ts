import { alibabaBlock, blkparse } from './block.ts';
import { bpftrace } from './bpftrace.ts';
import { csv } from './csv.ts';
import { estargz } from './estargz.ts';
import { fatrace } from './fatrace.ts';
import type { TraceFormat } from './format.ts';
import { genericCsv } from './generic-csv.ts';
import { ids } from './ids.ts';
import { jsonLines } from './json-lines.ts';
import { lcs } from './lcs.ts';
import { nydusOptimizer, nydusPattern } from './nydus.ts';
import { oracleGeneral } from './oracle-general.ts';
import { overlaybd } from './overlaybd.ts';
import { parquet } from './parquet.ts';
import { soci } from './soci.ts';
import { strace } from './strace.ts';
import { tracefs } from './tracefs.ts';

/** Every format but our own, the Arrow stream, by name. */
export const TRACE_FORMATS: readonly TraceFormat[] = [
  csv,
  jsonLines,
  parquet,
  oracleGeneral,
  lcs,
  ids,
  alibabaBlock,
  blkparse,
  tracefs,
  bpftrace,
  strace,
  fatrace,
  estargz,
  nydusOptimizer,
  nydusPattern,
  soci,
  overlaybd,
  genericCsv,
];
