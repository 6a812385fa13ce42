/** Recurrent layers and their cells. */
export { Bidirectional, type BidirectionalOptions, bidirectional } from "./bidirectional.ts";
export { type CellContext, RnnCell } from "./cell.ts";
export {
  ConvLSTM1D,
  ConvLSTM2D,
  ConvLSTM3D,
  type ConvLstmOptions,
  convLstm1d,
  convLstm2d,
  convLstm3d,
} from "./conv-lstm.ts";
export { GRU, GRUCell, type GruCellOptions, type GruOptions, gru, gruCell } from "./gru.ts";
export { LSTM, LSTMCell, type LstmCellOptions, type LstmOptions, lstm, lstmCell } from "./lstm.ts";
export { Recurrent } from "./recurrent.ts";
export { RNN, type RnnOptions, rnn, StackedRNNCells, stackedRnnCells } from "./rnn.ts";
export {
  SimpleRNN,
  SimpleRNNCell,
  type SimpleRnnCellOptions,
  type SimpleRnnOptions,
  simpleRnn,
  simpleRnnCell,
} from "./simple-rnn.ts";
